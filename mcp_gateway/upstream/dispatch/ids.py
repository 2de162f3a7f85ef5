"""Ids inside messages of a pipe: ours are integers, some peers repeat them as strings.

Decoded or raw ids enter, an id leaves, or None when it is none of ours.
"""

from __future__ import annotations

from mcp_gateway.revisions import SUBSCRIPTION_ID
from mcp_gateway.wire import Malformed, Raw, RawParams, RequestId, decode, fields

_MAX_DIGITS = 18


def our_id(id: RequestId | None) -> int | None:
    """The request id of ours that `id` is or spells. Ours are all integers, so a spelling is unambiguous."""
    if isinstance(id, int):
        return id
    return int(id) if id is not None and len(id) <= _MAX_DIGITS and id.isascii() and id.isdigit() else None


def read_id(raw: object) -> RequestId | None:
    """The id in a raw member such as `requestId`; None when it is absent or no id."""
    if not isinstance(raw, Raw):
        return None
    try:
        return decode(b'{"id":%b}' % bytes(raw)).id
    except Malformed:
        return None


def subscription_of(params: RawParams) -> int | None:
    """The listen request whose stream a notification is part of (2026-07-28, basic/patterns/subscriptions)."""
    meta = params.get("_meta")
    if not isinstance(meta, Raw):
        return None
    try:
        return our_id(read_id(fields(meta).get(SUBSCRIPTION_ID)))
    except Malformed:
        return None
