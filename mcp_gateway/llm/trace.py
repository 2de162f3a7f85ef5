"""Asks that call asks, through chained gateways: counted in `_meta`, and cut. Pure."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from mcp_gateway.errors import InvalidParams
from mcp_gateway.wire import Malformed, encode, loads

DEPTH_KEY: Final = "io.mcp-gateway/ask-depth"
TRACE_KEY: Final = "io.mcp-gateway/ask-trace"

ASK_MARK: Final = "io.mcp-gateway/ask"
"""In the `_meta` of a tool's definition: calling it asks a model. Such a tool is never offered to one."""

MAX_DEPTH: Final = 2
"""An ask within an ask is one too many already, but a person may have wanted it (ask facts, 4.2)."""

INSTANCE: Final = secrets.token_hex(8)
"""This process among gateways."""


@dataclass(frozen=True, slots=True)
class Trace:
    """The asks a call has come through."""

    depth: int = 0
    instances: tuple[str, ...] = ()

    @property
    def onward(self) -> dict[str, Any]:
        """The `_meta` of every call made on behalf of this ask."""
        return {DEPTH_KEY: self.depth + 1, TRACE_KEY: [*self.instances, INSTANCE]}

    @classmethod
    def of(cls, meta: Any) -> Trace:
        """Read a call's `_meta`, raw or plain. Raises InvalidParams when this ask would be one too many."""
        members = _plain(meta)
        depth, instances = members.get(DEPTH_KEY, 0), members.get(TRACE_KEY, [])
        if type(depth) is not int or not isinstance(instances, list):
            raise InvalidParams("ask: the count of asks in _meta is unreadable")
        trace = cls(max(depth, len(instances)), tuple(map(str, instances)))
        if trace.depth >= MAX_DEPTH or INSTANCE in trace.instances:
            raise InvalidParams("ask: this question comes from another ask; call the tools themselves instead")
        return trace


def marks_ask(definition: Mapping[str, Any]) -> bool:
    meta = definition.get("_meta")
    return isinstance(meta, dict) and bool(meta.get(ASK_MARK))


def _plain(meta: Any) -> dict[str, Any]:
    try:
        plain = loads(encode(meta))
    except Malformed:
        return {}
    return plain if isinstance(plain, dict) else {}
