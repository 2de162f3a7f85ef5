"""JSON-RPC on the wire: envelopes are decoded, payloads stay bytes.

Bytes enter (one message), an `Envelope` leaves; results and errors are `Raw`
and are spliced into replies as they came, so nothing is lost or respelled. This
module knows no method and no revision.

`decode` is strict where real peers have broken gateways: UTF-8 only, no NaN or
Infinity, no lone surrogates, nesting at most `MAX_DEPTH`, one object per message.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import accumulate
from typing import Any

import msgspec
from msgspec import Raw

__all__ = [
    "MAX_DEPTH",
    "Envelope",
    "Malformed",
    "Raw",
    "RawParams",
    "RequestId",
    "decode",
    "encode",
    "error_reply",
    "fields",
    "loads",
    "notification",
    "reply",
    "request",
]

RawParams = dict[str, Any]
"""A request's params: field name -> `Raw` as received, or a plain value put there by us."""

RequestId = int | str

MAX_DEPTH = 100
"""Nesting accepted in one message. Our choice: deeper is an attack or a fault, and Python parsers stop near 200."""


class Malformed(ValueError):
    """The bytes are not one JSON-RPC message; the text says what is wrong and quotes nothing."""


class Envelope(msgspec.Struct, frozen=True):
    """One JSON-RPC message. `result` and `error` are empty when absent; `id` is None when absent or null."""

    id: RequestId | None = None
    method: str | None = None
    params: dict[str, Raw] | None = None
    result: Raw = Raw(b"")
    error: Raw = Raw(b"")

    @property
    def is_response(self) -> bool:
        return self.method is None

    @property
    def is_notification(self) -> bool:
        return self.method is not None and self.id is None


_decode_envelope = msgspec.json.Decoder(Envelope).decode
_decode_fields = msgspec.json.Decoder(dict[str, Raw]).decode
_decode_any = msgspec.json.Decoder().decode
encode = msgspec.json.Encoder().encode
"""Encode a value compactly; `Raw` members are copied as they are. Raises UnicodeEncodeError on a lone surrogate."""

_STEPS = bytes.maketrans(b"{[}]", b"\x01\x01\xff\xff")  # read as signed: one level up, one level down
_UNSTRUCTURAL = bytes(set(range(256)) - set(b'{[}]"'))
_SURROGATE = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
)


def decode(message: bytes) -> Envelope:
    """Decode one message strictly.

    Raises:
        Malformed: not UTF-8, not JSON, too deep, a lone surrogate, or not a JSON-RPC object.
    """
    check(message)
    try:
        return _decode_envelope(message)
    except msgspec.ValidationError:
        raise Malformed("not a JSON-RPC message") from None
    except (msgspec.DecodeError, RecursionError, ValueError):
        raise Malformed("not valid JSON") from None


def loads(raw: bytes | Raw) -> Any:
    """Decode a payload to plain Python values. Raises Malformed."""
    try:
        return _decode_any(raw)
    except (msgspec.DecodeError, RecursionError, ValueError):
        raise Malformed("not valid JSON") from None


def fields(raw: bytes | Raw) -> dict[str, Raw]:
    """Decode an object one level deep, its values left as bytes. Raises Malformed."""
    try:
        return _decode_fields(raw)
    except (msgspec.DecodeError, RecursionError, ValueError):
        raise Malformed("not a JSON object") from None


def check(message: bytes) -> None:
    """Refuse what a lenient parser would let through; cheap for ordinary messages.

    Raises:
        Malformed: not UTF-8, nested deeper than MAX_DEPTH, or holding a lone surrogate.
    """
    try:
        message.decode()
    except UnicodeDecodeError:
        raise Malformed("not UTF-8") from None
    if message.count(b"{") + message.count(b"[") > MAX_DEPTH and _depth(message) > MAX_DEPTH:
        raise Malformed(f"nested deeper than {MAX_DEPTH}")
    if (b"\\ud" in message or b"\\uD" in message) and has_lone_surrogate(message):
        raise Malformed("a lone surrogate in a string")


def _depth(message: bytes) -> int:
    """Brackets outside strings, summed up at C speed. No pattern: on unterminated strings one took quadratic time."""
    unescaped = message.replace(b"\\\\", b"").replace(b'\\"', b"")
    outside = b"".join(unescaped.translate(_STEPS, _UNSTRUCTURAL).split(b'"')[::2])
    return max(accumulate(memoryview(outside).cast("b")), default=0)


def has_lone_surrogate(message: bytes) -> bool:
    """True when an escape such as `\\ud800` stands without its other half."""
    unescaped = message.replace(b"\\\\", b"")
    return any(match.group(1) for match in _SURROGATE.finditer(unescaped))


def request(id: RequestId, method: str, params: Mapping[str, Any] | Raw | None) -> bytes:
    """A request, one line without the newline."""
    body: dict[str, Any] = {"jsonrpc": "2.0", "id": id, "method": method}
    if params is not None:
        body["params"] = params
    return encode(body)


def notification(method: str, params: Mapping[str, Any] | Raw | None) -> bytes:
    """A notification."""
    body: dict[str, Any] = {"jsonrpc": "2.0", "method": method}
    if params is not None:
        body["params"] = params
    return encode(body)


def reply(id: RequestId | None, result: bytes | Raw) -> bytes:
    """A response around result bytes, which are copied unchanged."""
    return b'{"jsonrpc":"2.0","id":%b,"result":%b}' % (encode(id), bytes(result))


def error_reply(id: RequestId | None, error: bytes | Raw) -> bytes:
    """An error response around an encoded error object, which is copied unchanged."""
    return b'{"jsonrpc":"2.0","id":%b,"error":%b}' % (encode(id), bytes(error))
