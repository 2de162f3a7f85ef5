"""Withheld tool definitions at the REST door: what changed, and approving it. For operators only."""

from __future__ import annotations

from typing import Any

import msgspec

from mcp_gateway.errors import InvalidParams
from mcp_gateway.observe.pins import withheld
from mcp_gateway.security.pin_desk import PinDesk


class _Approval(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    server: str
    tools: list[str] | dict[str, str] | None = None


def listing(desk: PinDesk) -> dict[str, Any]:
    """`{"pins": [...]}`, an item for each withheld tool. Raises PinsUnreadable."""
    return {"pins": withheld(desk.book)}


async def approve(desk: PinDesk, body: bytes) -> dict[str, Any]:
    """`{"server": NAME, "tools": [NAME, ...]}` in, without tools all that are withheld; what was approved out.

    `tools` may be `{NAME: DIGEST}`, which approves nothing but what was looked at.
    Raises InvalidParams, UnknownName, PinsUnreadable.
    """
    try:
        wanted = msgspec.json.decode(body, type=_Approval)
    except (msgspec.DecodeError, RecursionError, ValueError):
        raise InvalidParams(
            "send a JSON object with server and, if you like, tools: [NAME, ...] or {NAME: DIGEST}"
        ) from None
    approved = desk.approve(wanted.server, wanted.tools)
    await desk.save()
    return {"approved": [{"server": each.server, "tool": each.tool, "digest": each.seen.digest} for each in approved]}
