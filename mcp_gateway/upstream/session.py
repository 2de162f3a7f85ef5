"""What was agreed with one upstream, and requests in its terms.

A `Session` is the outcome of the handshake; a `Link` is a live dispatcher with its
session. The handshake is raw JSON on purpose: see docs/decisions.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import anyio

from mcp_gateway import __version__
from mcp_gateway.call import QUIET, Sink
from mcp_gateway.errors import (
    GatewayError,
    RpcError,
    UpstreamDisconnected,
    UpstreamProtocolError,
    UpstreamUnavailable,
)
from mcp_gateway.revisions import (
    CLIENT_CAPABILITIES,
    CLIENT_INFO,
    LATEST_LEGACY,
    LATEST_MODERN,
    LEGACY,
    MODERN,
    PROTOCOL_VERSION,
    SERVER_INFO,
    UNSUPPORTED_PROTOCOL_VERSION,
    is_modern,
)
from mcp_gateway.upstream.dispatch.base import Dispatcher
from mcp_gateway.wire import Malformed, Raw, RawParams, loads

logger = logging.getLogger(__name__)

GATEWAY_INFO: Mapping[str, str] = {"name": "mcp-gateway", "version": __version__}

PROBE_SILENCE_S = 3.0
"""Silence after `server/discover` that means legacy (protocol facts, section 2: 2-5 s)."""


class Era(StrEnum):
    """Which handshake an upstream speaks; AUTO means: find out."""

    AUTO = "auto"
    MODERN = "modern"
    LEGACY = "legacy"


@dataclass(frozen=True, slots=True)
class Session:
    """What the handshake agreed on."""

    revision: str
    capabilities: Mapping[str, Any] = field(default_factory=dict)
    server_info: Mapping[str, Any] = field(default_factory=dict)
    instructions: str | None = None

    @property
    def modern(self) -> bool:
        return is_modern(self.revision)

    @property
    def era(self) -> Era:
        return Era.MODERN if self.modern else Era.LEGACY


@dataclass(frozen=True, slots=True, eq=False)
class Link:
    """A live connection: the wire, and what was agreed over it. Equal only to itself."""

    dispatcher: Dispatcher
    session: Session

    async def request(self, method: str, params: RawParams | None = None, sink: Sink = QUIET) -> Raw:
        """A request of the gateway's own, in the shape the upstream's revision wants."""
        if not self.session.modern:
            return await self.dispatcher.call(method, params, sink)
        stamped = {**(params or {}), "_meta": {**((params or {}).get("_meta") or {}), **envelope({})}}
        return await self.dispatcher.call(method, stamped, sink, headers=method_headers(method, self.session.revision))


def envelope(capabilities: Mapping[str, Any], revision: str = LATEST_MODERN) -> dict[str, Any]:
    """The `_meta` members that every modern request carries (2026-07-28, basic/index)."""
    return {PROTOCOL_VERSION: revision, CLIENT_INFO: GATEWAY_INFO, CLIENT_CAPABILITIES: capabilities}


def method_headers(method: str, revision: str) -> dict[str, str]:
    """The HTTP headers every modern request repeats from its body (SEP-2243)."""
    return {"MCP-Protocol-Version": revision, "Mcp-Method": method}


async def handshake(dispatcher: Dispatcher, era: Era, capabilities: Mapping[str, Any]) -> Session:
    """Open the conversation and learn which revision the upstream speaks.

    AUTO probes with `server/discover` and falls back to `initialize` on any error
    that is not an outage, and on silence. The caller bounds the whole wait.

    Raises:
        ProbeFatal: the connection ended on the probe; a new one should start with LEGACY.
        HandshakeRefused: the upstream answered with an error.
        GatewayError: the upstream cannot be talked to.
    """
    try:
        session = await _agree(dispatcher, era, capabilities)
    except RpcError as refused:
        message = f"upstream {dispatcher.server!r} refused the handshake: {refused.error['message']}"
        raise HandshakeRefused(message, server=dispatcher.server) from None
    dispatcher.negotiated(session.revision)
    if not session.modern:
        await dispatcher.notify("notifications/initialized")
    return session


async def _agree(dispatcher: Dispatcher, era: Era, capabilities: Mapping[str, Any]) -> Session:
    match era:
        case Era.MODERN:
            return await _discover(dispatcher)
        case Era.LEGACY:
            return await _initialize(dispatcher, capabilities)
        case Era.AUTO:
            return await _Probe(dispatcher, capabilities).session()


class HandshakeRefused(UpstreamUnavailable):
    """The upstream answered the handshake with an error of its own; another time or another era may do."""


class ProbeFatal(UpstreamDisconnected):
    """The upstream ended when it was probed; some legacy servers do (protocol facts, section 2)."""


class _Probe:
    """`server/discover`, and `initialize` on the same connection once that is refused or stays silent.

    A silent server is either a legacy one that drops unknown methods, or one that is
    still starting: so the probe stays open, and the first success decides.
    """

    def __init__(self, dispatcher: Dispatcher, capabilities: Mapping[str, Any]) -> None:
        self._dispatcher = dispatcher
        self._capabilities = capabilities
        self._refused = anyio.Event()
        self._session: Session | None = None
        self._failure: GatewayError | RpcError | None = None

    async def session(self) -> Session:
        async with anyio.create_task_group() as group:
            group.start_soon(self._probe, group.cancel_scope)
            group.start_soon(self._fall_back, group.cancel_scope)
        if self._session is not None:
            return self._session
        assert self._failure is not None, "one of the two ends with a session or a failure"
        raise self._failure

    async def _probe(self, both: anyio.CancelScope) -> None:
        try:
            self._session = await _discover(self._dispatcher)
        except UpstreamDisconnected as gone:
            closed = self._dispatcher.closed.is_set() and not self._refused.is_set()
            self._failure = ProbeFatal(gone.message, server=gone.server) if closed else gone
        except (RpcError, UpstreamProtocolError) as refusal:
            logger.debug("upstream.probe name=%s answer=%s", self._dispatcher.server, type(refusal).__name__)
            self._refused.set()
            return
        except GatewayError as outage:
            self._failure = outage
        both.cancel()

    async def _fall_back(self, both: anyio.CancelScope) -> None:
        with anyio.move_on_after(PROBE_SILENCE_S):
            await self._refused.wait()
        try:
            self._session = await _initialize(self._dispatcher, self._capabilities)
        except (GatewayError, RpcError) as failure:
            self._failure = self._failure or failure  # when the probe ended the connection, that is the reason
            if isinstance(failure, RpcError) and not self._refused.is_set():
                return  # refused by a server that has yet to answer the probe: a modern one that started slowly
        both.cancel()


async def _discover(dispatcher: Dispatcher) -> Session:
    """Raises UpstreamProtocolError when the upstream shares no modern revision with us."""
    try:
        raw = await _ask_for_offer(dispatcher, LATEST_MODERN)
    except RpcError as refused:
        # A server that refuses a revision is modern: it gets one more request, in one that it names (basic/versioning).
        if (revision := _named_instead(refused.error)) is None:
            raise
        raw = await _ask_for_offer(dispatcher, revision)
    result = _object(dispatcher, raw)
    supported = result.get("supportedVersions")
    common = [revision for revision in MODERN if isinstance(supported, list) and revision in supported]
    if not common:
        message = f"upstream {dispatcher.server!r} offers no protocol revision that the gateway speaks"
        raise UpstreamProtocolError(message, server=dispatcher.server)
    meta = result.get("_meta")
    return _session(result, common[-1], meta.get(SERVER_INFO) if isinstance(meta, dict) else None)


async def _ask_for_offer(dispatcher: Dispatcher, revision: str) -> Raw:
    params: RawParams = {"_meta": envelope({}, revision)}
    return await dispatcher.call("server/discover", params, headers=method_headers("server/discover", revision))


def _named_instead(error: Mapping[str, Any]) -> str | None:
    """The latest revision of ours among those of an UnsupportedProtocolVersion error."""
    data = error.get("data") if error["code"] == UNSUPPORTED_PROTOCOL_VERSION else None
    supported = data.get("supported") if isinstance(data, dict) else None
    return next((each for each in reversed(MODERN) if isinstance(supported, list) and each in supported), None)


async def _initialize(dispatcher: Dispatcher, capabilities: Mapping[str, Any]) -> Session:
    params: RawParams = {
        "protocolVersion": LATEST_LEGACY,
        "capabilities": capabilities,
        "clientInfo": GATEWAY_INFO,
    }
    result = _object(dispatcher, await dispatcher.call("initialize", params))
    revision = result.get("protocolVersion")
    if revision not in LEGACY:
        raise UpstreamProtocolError(
            f"upstream {dispatcher.server!r} answered initialize with an unknown protocol version",
            server=dispatcher.server,
        )
    return _session(result, revision, result.get("serverInfo"))


def _object(dispatcher: Dispatcher, raw: Raw) -> dict[str, Any]:
    try:
        decoded = loads(raw)
    except Malformed:
        decoded = None
    if not isinstance(decoded, dict):
        raise UpstreamProtocolError(
            f"upstream {dispatcher.server!r} answered the handshake with something that is not an object",
            server=dispatcher.server,
        )
    return decoded


def _session(result: Mapping[str, Any], revision: str, info: Any) -> Session:
    capabilities = result.get("capabilities")
    instructions = result.get("instructions")
    return Session(
        revision=revision,
        capabilities=capabilities if isinstance(capabilities, dict) else {},
        server_info=info if isinstance(info, dict) else {},
        instructions=instructions if isinstance(instructions, str) else None,
    )
