"""What every wire to an upstream can do.

A dispatcher correlates requests with answers, hands mid-call traffic to the sink
of the call it belongs to, and reports the end of the connection. It knows no
tool, no catalog and no other upstream. Results leave as raw bytes.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from types import TracebackType

import anyio

from mcp_gateway.call import QUIET, Sink
from mcp_gateway.errors import METHOD_NOT_FOUND, GatewayError, RpcError, UpstreamDisconnected, UpstreamProtocolError
from mcp_gateway.wire import Raw, RawParams, encode

logger = logging.getLogger(__name__)

MAX_MESSAGE_BYTES = 16 * 1024 * 1024
"""Default cap of one upstream message (`limits.max_result`; design, decision 2)."""

MAX_QUESTIONS = 32
"""Server-to-client requests in flight on one connection; more get an error reply (security facts, 3.4 floods)."""

Listener = Callable[[str, RawParams], None]
"""Hears notifications that belong to no call: (method, params). Must not block."""


class Dispatcher(ABC):
    """One connection to one upstream.

    Used as an async context manager by the one task that owns the connection:
    entering connects (or starts the child), leaving closes and reaps. Between the
    two, any task may `call` and `notify`.

    Attributes:
        server: the upstream's configured name, for messages.
        closed: set when the connection has ended for good.
        failure: why it ended; None while it lives, or when we closed it ourselves.
        faults: counters per kind of fault seen, e.g. {"bad_line": 3}.
    """

    def __init__(self, server: str, *, listener: Listener, max_message_bytes: int = MAX_MESSAGE_BYTES) -> None:
        self.server = server
        self.listener = listener
        self.max_message_bytes = max_message_bytes
        self.closed = anyio.Event()
        self.failure: GatewayError | None = None
        self.faults: dict[str, int] = {}
        self.revision: str | None = None
        self._last_id = 0

    @abstractmethod
    async def __aenter__(self) -> Dispatcher:
        """Connect.

        Raises:
            UpstreamStartFailed: the program cannot be started.
            UpstreamUnavailable: the address cannot be reached.
        """

    @abstractmethod
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connection and wait until nothing of it is left."""

    @abstractmethod
    async def call(
        self, method: str, params: RawParams | None, sink: Sink = QUIET, *, headers: Mapping[str, str] | None = None
    ) -> Raw:
        """Send one request and wait for its raw result; there is no deadline in here.

        `params` is not changed. When `sink.token` is not None the upstream is
        given a progress token of ours, and its progress reaches the sink. `headers`
        are the request's own HTTP headers (`Mcp-Method` and so on); pipes ignore them.
        Cancelling the waiting task cancels the request upstream.

        Raises:
            RpcError: the upstream answered with an error.
            UpstreamDisconnected, UpstreamProtocolError, UpstreamMessageTooLarge,
            UpstreamAuth, UpstreamUnavailable: see `errors`.
            InvalidParams: the params cannot be encoded (a lone surrogate).
        """

    @abstractmethod
    async def notify(self, method: str, params: RawParams | None = None) -> None:
        """Send a notification. Raises UpstreamDisconnected when the connection has ended."""

    @property
    def stderr_tail(self) -> str:
        """The last of what the upstream wrote to its standard error, for operators only; empty where it has none."""
        return ""

    def negotiated(self, revision: str) -> None:
        """Told once by the owner, after the handshake: the revision this connection speaks."""
        self.revision = revision

    def mint(self) -> int:
        """A request id never used before on this connection."""
        self._last_id += 1
        return self._last_id

    def count(self, fault: str) -> None:
        self.faults[fault] = self.faults.get(fault, 0) + 1


def disconnected(server: str, what: str) -> UpstreamDisconnected:
    """The connection has ended, or never was; `what` goes on after the upstream's name."""
    return UpstreamDisconnected(f"upstream {server!r} {what}", server=server)


def off_protocol(server: str, what: str) -> UpstreamProtocolError:
    """The upstream did what its protocol does not allow; `what` goes on after its name."""
    return UpstreamProtocolError(f"upstream {server!r} {what}", server=server)


async def answer(sink: Sink | None, method: str, params: RawParams) -> tuple[Raw | None, bytes | None]:
    """Decide what to answer to a question an upstream asks: (result, error), one of them None.

    `ping` is answered here; everything else goes to the caller whose call caused it.
    """
    if method == "ping":
        return Raw(b"{}"), None
    if sink is None:
        refusal = RpcError.of(METHOD_NOT_FOUND, f"no single call in flight that {method} could belong to")
        return None, refusal.raw
    try:
        return await sink.request(method, params), None
    except RpcError as refused:
        return None, refused.raw
    except GatewayError as failed:
        return None, encode({"code": -32603, "message": failed.message})
