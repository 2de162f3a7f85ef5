"""What an upstream's answer says about being kept, and the mark on answers that passed the cache.

Raw results enter; a verdict, or the same bytes with one member more, leaves. The
rest of a result is never encoded again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

import msgspec

from mcp_gateway.wire import Raw, encode, loads

CACHE_META_KEY = "io.mcp-gateway/cache"

MAX_TTL_S = 86400.0
"""An upstream's own `ttlMs` is believed up to a day. Our choice."""


class Fate(StrEnum):
    """What may happen to an answer."""

    KEEP = "keep"
    """Stored, and given to everyone who waits for it."""
    SHARE = "share"
    """Given to those who wait for it now, and forgotten."""
    ALONE = "alone"
    """For the one caller whose call it was."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """`ttl_s` is the upstream's own wish, None when it has none; `public` its word that callers may share."""

    fate: Fate
    ttl_s: float | None = None
    public: bool = False


class _Block(msgspec.Struct):
    type: str = ""
    uri: str = ""


class _Message(msgspec.Struct):
    content: _Block | list[_Block] = msgspec.field(default_factory=list)


class _Result(msgspec.Struct):
    content: list[_Block] = msgspec.field(default_factory=list)
    messages: list[_Message] = msgspec.field(default_factory=list)
    contents: list[msgspec.Raw] = msgspec.field(default_factory=list)
    is_error: bool = msgspec.field(name="isError", default=False)
    result_type: str = msgspec.field(name="resultType", default="complete")
    task: Raw = Raw(b"")
    ttl_ms: float | None = msgspec.field(name="ttlMs", default=None)
    cache_scope: str = msgspec.field(name="cacheScope", default="private")


_read = msgspec.json.Decoder(_Result).decode
_read_members = msgspec.json.Decoder(dict[str, Raw]).decode

_OPENING = re.compile(rb"\s*(\{)\s*(\})?")
_KEY = re.compile(rb'[\s,]*("(?:[^"\\]|\\.)*")\s*:\s*')


def judge(raw: bytes, owned: Callable[[str], bool]) -> Verdict:
    """Decide about a result. `owned` tells whether the catalog leads anywhere from a URI.

    1. not the shape of a result, a question, or a task: for its caller alone;
    2. a link that only the caller's session can follow: the same;
    3. `isError`: those who wait may share it, nobody later;
    4. everything else may be kept.
    """
    try:
        result = _read(raw)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return Verdict(Fate.ALONE)
    if result.result_type != "complete" or bytes(result.task):
        return Verdict(Fate.ALONE)
    if not all(owned(uri) for uri in _links(result)):
        return Verdict(Fate.ALONE)
    if result.is_error or mark_place(raw) is None:
        return Verdict(Fate.SHARE)
    ttl_s = None if result.ttl_ms is None else min(max(result.ttl_ms / 1000, 0.0), MAX_TTL_S)
    return Verdict(Fate.KEEP, ttl_s, result.cache_scope == "public")


def marked(raw: bytes, *, hit: bool, age_s: float) -> Raw:
    """The result with `_meta["io.mcp-gateway/cache"]`; unchanged when there is no place for it."""
    place = mark_place(raw)
    if place is None:
        return Raw(raw)
    before, after = place
    mark = b'"io.mcp-gateway/cache":{"hit":%b,"age_s":%d}' % (b"true" if hit else b"false", max(age_s, 0))
    return Raw(before + mark + after)


def mark_place(raw: bytes) -> tuple[bytes, bytes] | None:
    """What stands before and after the mark; None when the result's `_meta` cannot be extended.

    1. no `_meta` anywhere, or only deeper down: a new one in front of all members;
    2. a `_meta` of its own: in front of that one's members, which stay as they are;
    3. one that another gateway's cache has marked: without that mark.
    """
    is_plain = b"_meta" not in raw and b"\\u" not in raw
    if is_plain and raw.startswith(b'{"'):
        return b'{"_meta":{', b"}," + raw[1:]
    opening = _OPENING.match(raw)
    if opening is None:
        return None
    start = opening.end(1)
    members = {} if is_plain else _read_members(raw)
    if "_meta" not in members:
        return raw[:start] + b'"_meta":{', (b"}" if opening[2] else b"},") + raw[start:]
    meta = bytes(members["_meta"])
    at = _offset_of_meta(raw, start, members)
    if at is None or not meta.startswith(b"{"):
        return None
    others = _read_members(meta)
    if CACHE_META_KEY in others:
        meta = encode({name: value for name, value in others.items() if name != CACHE_META_KEY})
    comma = b"," if others.keys() - {CACHE_META_KEY} else b""
    return raw[:at] + b"{", comma + meta[1:] + raw[at + len(members["_meta"]) :]


def _offset_of_meta(raw: bytes, at: int, members: Mapping[str, Raw]) -> int | None:
    """Where the value of the object's own `_meta` starts; None when members are given twice."""
    for name, value in members.items():
        key = _KEY.match(raw, at)
        if key is None or loads(key[1]) != name:
            return None
        at = key.end()
        if name == "_meta":
            return at
        at += len(value)
    return None


def _links(result: _Result) -> list[str]:
    blocks = list(result.content)
    for message in result.messages:
        blocks += message.content if isinstance(message.content, list) else [message.content]
    return [block.uri for block in blocks if block.type == "resource_link"]
