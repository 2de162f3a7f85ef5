"""The key of an answer: a digest of everything the answer depends on.

Plain values and raw params enter, hex leaves. Two requests share a key only if an
upstream cannot tell them apart, however it parses JSON; the reverse is not promised.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

import msgspec

from mcp_gateway.revisions import ENVELOPE_KEYS
from mcp_gateway.wire import Raw

SUBJECT = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}
"""Method -> the param that names the target; the route says more exactly which one that is."""

IGNORED_META = ENVELOPE_KEYS | {"progressToken", "traceparent", "tracestate", "baggage"}
"""`_meta` members that say nothing about the answer (2026-07-28, basic/index#_meta). Others become part of the key."""

# Numbers keep their spelling: as floats, 1 and 1.0000000000000000001 would be one number.
_decode = msgspec.json.Decoder(float_hook=lambda digits: Raw(digits.encode())).decode
_encode = msgspec.json.Encoder(order="deterministic").encode
_fields = msgspec.json.Decoder(dict[str, Raw]).decode


def digest(identity: tuple[str | None, ...], method: str, params: Mapping[str, Any]) -> str | None:
    """The key, or None when the request is not one whose answer can be kept.

    `identity` is everything that is not in the params: server, upstream name,
    definition, credential, revision, scope. A request with params that nobody
    foresaw (a task, the retry after a question) has no key.
    """
    subject = SUBJECT.get(method)
    arguments: Any = None
    meta: dict[str, Any] | None = None
    try:
        for name, value in params.items():
            if name == "arguments":
                arguments = [canonical(value)]
            elif name == "_meta":
                meta = _meta(value)
            elif name != subject:
                return None
        return blake2b(_encode([identity, method, arguments, meta]), digest_size=20).hexdigest()
    except (msgspec.MsgspecError, ValueError, TypeError, RecursionError):
        return None


def canonical(value: Any) -> Raw:
    """JSON with sorted members and no spaces, or the bytes as they came where that could merge two texts.

    Parsers differ about a member given twice. Without escapes, a text has two quotes
    per string, so fewer quotes afterwards mean that a member has disappeared; with
    escapes that cannot be told, and the spelling itself is the key.
    """
    if not isinstance(value, Raw):
        return Raw(_encode(value))
    text = bytes(value)
    if b"\\" in text:
        return value
    ordered = _encode(_decode(text))
    return Raw(ordered) if ordered.count(b'"') == text.count(b'"') else value


def _meta(value: Any) -> dict[str, Any] | None:
    members = _fields(value) if isinstance(value, Raw) else value
    return {name: canonical(member) for name, member in members.items() if name not in IGNORED_META} or None
