"""A call on its way: who makes it, what it asks, and where its mid-flight messages go.

Doors build a `Call` and hand it to `Gateway.route`; upstreams and built-ins see
its params, its sink and its client. Nothing here does I/O.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, Protocol

from mcp_gateway.catalog.route import Route
from mcp_gateway.errors import METHOD_NOT_FOUND, RpcError
from mcp_gateway.observe.trace import Trace
from mcp_gateway.revisions import LATEST_MODERN, is_modern
from mcp_gateway.security.principal import LOCAL, Principal
from mcp_gateway.wire import Raw, RawParams

__all__ = ["QUIET", "UNSELECTED", "Call", "Client", "Mode", "Selection", "Sink"]


class Mode(StrEnum):
    """What a tool list holds: everything, a small surface with search, or whichever the sizes suggest."""

    AUTO = "auto"
    ALL = "all"
    SEARCH = "search"


@dataclass(frozen=True, slots=True)
class Selection:
    """What a client asked for by its address, or whoever started the gateway by a flag; None leaves it open."""

    profile: str | None = None
    mode: Mode | None = None

    def over(self, default: Selection) -> Selection:
        """This, with what it leaves open from the default."""
        return Selection(self.profile or default.profile, self.mode or default.mode)


UNSELECTED: Final = Selection()


@dataclass(frozen=True, slots=True)
class Client:
    """The downstream client a call came from.

    `key` is one legacy session, or one single 2026 request: calls with equal keys belong together.
    `session` is the key of the legacy session, None for a stateless client. `principal` is who is behind it.
    `origin` is the `scheme://host` under which it reached us, None where no page of ours can be opened.
    """

    key: str
    revision: str = LATEST_MODERN
    capabilities: Mapping[str, Any] = field(default_factory=dict)
    info: Mapping[str, Any] | None = None
    session: str | None = None
    door: str = "internal"
    selection: Selection = UNSELECTED
    principal: Principal = LOCAL
    origin: str | None = None

    @property
    def modern(self) -> bool:
        return is_modern(self.revision)


class Sink(Protocol):
    """The way back to the caller while its call runs.

    `owner` equals `Client.key`; `token` is the caller's progress token, or None
    when it wants no progress. Params go out as given, except that the sink puts
    its own token into progress notifications.
    """

    owner: str
    token: str | int | None

    def notify(self, method: str, params: RawParams) -> None:
        """Pass a notification on. Never blocks; what a slow caller cannot take is dropped and counted."""

    async def request(self, method: str, params: RawParams) -> Raw:
        """Ask the caller (sampling, elicitation, roots) and wait for the raw result.

        Raises:
            RpcError: the caller refused, or has no way to be asked.
        """
        ...


class _Quiet:
    """The sink of a caller that listens to nothing."""

    owner: str = ""
    token: str | int | None = None

    def notify(self, method: str, params: RawParams) -> None:
        return

    async def request(self, method: str, params: RawParams) -> Raw:
        raise RpcError.of(METHOD_NOT_FOUND, f"nobody to ask: {method}")


QUIET: Sink = _Quiet()


@dataclass(slots=True)
class Call:
    """One request on its way.

    `params` belongs to the call: whoever routes it may change the mapping.
    `deadline_s` is the caller's own wish, in seconds from now; None means the configured default.
    `log_level` is the mildest log level the caller wants, None when it wants no log messages.
    `route` is set by the gateway once the name is resolved.
    `trace` is the caller's, or that of the call which makes this one.
    `cached` says whether the cache answered it; None where the cache had no say.
    """

    method: str
    params: RawParams
    client: Client
    sink: Sink = QUIET
    deadline_s: float | None = None
    log_level: str | None = None
    route: Route | None = None
    trace: Trace = field(default_factory=Trace.here)
    cached: bool | None = None

    @property
    def principal(self) -> Principal:
        """Who is asking."""
        return self.client.principal
