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
from mcp_gateway.errors import RpcError, UpstreamDisconnected, UpstreamProtocolError
from mcp_gateway.revisions import (
    CLIENT_CAPABILITIES,
    CLIENT_INFO,
    LATEST_LEGACY,
    LATEST_MODERN,
    LEGACY,
    MODERN,
    PROTOCOL_VERSION,
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


@dataclass(frozen=True, slots=True)
class Link:
    """A live connection: the wire, and what was agreed over it."""

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
    that is not an outage. The caller bounds the whole wait.

    Raises:
        ProbeFatal: the connection ended on the probe; a new one should start with LEGACY.
        GatewayError, RpcError: the upstream cannot be talked to.
    """
    if era is not Era.LEGACY:
        session = await _discover(dispatcher, era)
        if session is not None:
            dispatcher.negotiated(session.revision)
            return session
    session = await _initialize(dispatcher, capabilities)
    dispatcher.negotiated(session.revision)
    await dispatcher.notify("notifications/initialized")
    return session


class ProbeFatal(UpstreamDisconnected):
    """The upstream ended when it was probed; some legacy servers do (protocol facts, section 2)."""


async def _discover(dispatcher: Dispatcher, era: Era) -> Session | None:
    """Probe; None means: not a modern server, try `initialize` on the same connection."""
    params: RawParams = {"_meta": envelope({})}
    headers = method_headers("server/discover", LATEST_MODERN)
    try:
        with anyio.fail_after(PROBE_SILENCE_S if era is Era.AUTO else None):
            raw = await dispatcher.call("server/discover", params, headers=headers)
    except (TimeoutError, RpcError, UpstreamProtocolError) as failure:
        if era is Era.MODERN and not isinstance(failure, TimeoutError):
            raise
        logger.debug("upstream.probe name=%s answer=%s", dispatcher.server, type(failure).__name__)
        return None
    except UpstreamDisconnected as gone:
        if not dispatcher.closed.is_set():
            raise
        raise ProbeFatal(gone.message, server=dispatcher.server) from gone
    result = _object(dispatcher, raw)
    supported = result.get("supportedVersions")
    common = [revision for revision in MODERN if isinstance(supported, list) and revision in supported]
    if not common:
        return None
    meta = result.get("_meta")
    info = meta.get("io.modelcontextprotocol/serverInfo") if isinstance(meta, dict) else None
    return _session(result, common[-1], info)


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
