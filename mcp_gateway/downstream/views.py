"""What operators see of the gateway: plain data for REST, the command line and `sysinfo`.

Reads state, changes nothing; secrets, paths and upstreams' stderr are not in here. A view is what the caller may use:
what is outside of it is not mentioned.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import Any

from mcp_gateway import __version__
from mcp_gateway.cache import CacheStats
from mcp_gateway.call import Client
from mcp_gateway.catalog import WHOLE, CatalogEntry, Kind, View
from mcp_gateway.errors import UnknownName
from mcp_gateway.gateway import Gateway
from mcp_gateway.observe.calls import Calls
from mcp_gateway.observe.reading import Reading, resident_bytes
from mcp_gateway.upstream.agent import MCPAgent
from mcp_gateway.upstream.lifecycle import State


def tools(gateway: Gateway, view: View) -> list[dict[str, Any]]:
    """Every tool: its definition with `server` and `tool`, the upstream's own name; `server` is None for built-ins."""
    return [
        {**entry.definition, "server": entry.route.server, "tool": entry.route.name}
        for entry in _entries(gateway, view, Kind.TOOL)
    ]


def prompts(gateway: Gateway, view: View) -> list[dict[str, Any]]:
    return [
        {**entry.definition, "server": entry.route.server, "prompt": entry.route.name}
        for entry in _entries(gateway, view, Kind.PROMPT)
    ]


def resources(gateway: Gateway, view: View) -> list[dict[str, Any]]:
    """Resources and, with `uriTemplate` in place of `uri`, resource templates."""
    entries = _entries(gateway, view, Kind.RESOURCE, Kind.TEMPLATE)
    return [{**entry.definition, "server": entry.route.server} for entry in entries]


def servers(gateway: Gateway, view: View) -> list[dict[str, Any]]:
    """Every configured server in the order of the file."""
    agents = {agent.name: agent for agent in gateway.upstreams.agents}
    return [
        _server(gateway, view, agents[name]) if name in agents else _disabled(name, gateway.upstreams.disabled[name])
        for name in filter(view.admits_server, gateway.upstreams.names)
    ]


def unknown_server(gateway: Gateway, view: View, name: str) -> UnknownName:
    """The error for a server that is not there for the caller, with the nearest one that is."""
    near = get_close_matches(name[:80], filter(view.admits_server, gateway.upstreams.names), n=1)
    return UnknownName("server", name, nearest=near[0] if near else None)


def server(gateway: Gateway, view: View, name: str) -> dict[str, Any] | None:
    """One server with everything known of it, None when there is none for the caller."""
    summary = next((item for item in servers(gateway, view) if item["name"] == name), None)
    if summary is None:
        return None
    offer = gateway.upstreams.offers.get(name)
    return {
        **summary,
        "server_info": dict(offer.server_info) if offer else None,
        "capabilities": dict(offer.capabilities) if offer else None,
        "instructions": offer.instructions if offer else None,
        "exposed_tools": [item for item in tools(gateway, view) if item["server"] == name],
        "problems": [item for item in _problems(gateway, view) if item["server"] == name],
    }


def status(gateway: Gateway, view: View) -> dict[str, Any]:
    """The gateway in a page."""
    return {
        "version": __version__,
        "servers": servers(gateway, view),
        "tools": len(_entries(gateway, view, Kind.TOOL)),
        "prompts": len(_entries(gateway, view, Kind.PROMPT)),
        "resources": len(_entries(gateway, view, Kind.RESOURCE)),
        "problems": _problems(gateway, view),
    }


def cache(stats: CacheStats) -> dict[str, Any]:
    """The cache's counters; `hit_rate` is None while nothing was looked for."""
    looked = stats.hits + stats.misses
    return {
        "entries": stats.entries,
        "bytes": stats.bytes,
        "hits": stats.hits,
        "misses": stats.misses,
        "stale": stats.stale,
        "evicted": stats.evicted,
        "dropped": stats.dropped,
        "hit_rate": round(stats.hits / looked, 4) if looked else None,
        "state": stats.state,
        "tiers": {name: cache(tier) for name, tier in stats.tiers.items()},
    }


def reading(gateway: Gateway, clients: Iterable[Client], in_flight: int, stats: CacheStats, calls: Calls) -> Reading:
    """What metrics and alerts know of this very moment."""
    states = {agent.name: agent.state for agent in gateway.upstreams.agents}
    return Reading(
        states={name: states.get(name, State.DISABLED) for name in gateway.upstreams.names},
        all_states=tuple(State),
        sessions=Counter(client.door for client in clients),
        in_flight=in_flight,
        cache_hits=stats.hits,
        cache_misses=stats.misses,
        cache_entries=stats.entries,
        cache_bytes=stats.bytes,
        cache_state=stats.tiers.get("disk", stats).state,
        unrecorded=calls.dropped,
        record_failure=calls.failure,
        memory_bytes=resident_bytes(),
    )


def _entries(gateway: Gateway, view: View, *kinds: Kind) -> list[CatalogEntry]:
    return [entry for kind in kinds for entry in gateway.catalog.entries(kind) if view(entry.route)]


def _problems(gateway: Gateway, view: View) -> list[dict[str, Any]]:
    """They quote names that may not be for everybody, so who sees a part of the whole sees none."""
    if view != WHOLE:
        return []
    return [
        {"code": item.code, "server": item.server, "name": item.name, "text": item.text}
        for item in gateway.catalog.problems
    ]


def _server(gateway: Gateway, view: View, agent: MCPAgent) -> dict[str, Any]:
    offer = gateway.upstreams.offers.get(agent.name)
    exposed = [entry for entry in _entries(gateway, view, Kind.TOOL) if entry.route.server == agent.name]
    wait_s = agent.lifecycle.next_attempt_s - time.monotonic()
    return {
        "name": agent.name,
        "state": agent.state,
        "transport": gateway.upstreams.definition(agent.name).transport,
        "revision": offer.revision if offer else None,
        "tools": len(exposed),
        "since": datetime.fromtimestamp(agent.since, UTC).isoformat(timespec="seconds"),
        "reason": agent.reason,
        "next_attempt_in_s": round(max(wait_s, 0.0), 1) if math.isfinite(wait_s) and agent.link is None else None,
        "in_flight": agent.slots.in_flight,
        "failures": dict(agent.failures),
    }


def _disabled(name: str, reason: str) -> dict[str, Any]:
    return {
        "name": name,
        "state": "disabled",
        "transport": None,
        "revision": None,
        "tools": 0,
        "since": None,
        "reason": reason,
        "next_attempt_in_s": None,
        "in_flight": 0,
        "failures": {},
    }
