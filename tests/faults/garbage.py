"""Broken answers and offers, the same for a pipe and for HTTP.

A request enters, the bytes of what answers it leave. Standard library only.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from tests.faults.speech import Message, reply, result, tool

DEPTH = 5_000
"""Levels; the gateway's cap is 100, the parsers of Python give up near 1,000."""

DIGITS = 5_000
"""Python refuses to read more than 4,300 into an integer."""

TOOLS = 10_000
HUGE_BYTES = 17 * 1024 * 1024
"""Above the default `limits.max_result` of 16 MiB."""


def encoded(message: Any) -> bytes:
    return json.dumps(message).encode()


def in_place_of_result(request: Message, value: bytes) -> bytes:
    """An answer whose result is `{"content":[],"x":VALUE}`."""
    return b'{"jsonrpc":"2.0","id":%d,"result":{"content":[],"x":%b}}' % (request["id"], value)


def half(request: Message) -> bytes:
    whole = encoded(reply(request, result=result(request, "x" * 100)))
    return whole[: len(whole) // 2]


def not_rpc(request: Message) -> bytes:
    return encoded({"id": request["id"], "answer": 42})


def invalid_utf8(request: Message) -> bytes:
    return in_place_of_result(request, b'"\xff\xfe"')


def in_an_array(request: Message) -> bytes:
    return encoded([reply(request, result=result(request))])


def error_as_text(request: Message) -> bytes:
    return encoded(reply(request, error="it broke"))


def both_members(request: Message) -> bytes:
    return encoded(reply(request, result=result(request), error={"code": -32000, "message": "and yet"}))


def not_a_number(request: Message) -> bytes:
    return in_place_of_result(request, b"[NaN, Infinity]")


def lone_surrogate(request: Message) -> bytes:
    return in_place_of_result(request, b'"\\ud800"')


def deep(request: Message) -> bytes:
    return in_place_of_result(request, b"[" * DEPTH + b"]" * DEPTH)


def other_id(request: Message) -> bytes:
    return encoded(reply({"id": request["id"] + 100_000}, result=result(request)))


def huge_number(request: Message) -> bytes:
    """Legal JSON, so it is passed on as it is; the ticket is in it like in any good answer."""
    good = encoded(reply(request, result=result(request)))
    return good.replace(b'"result": {', b'"result": {"_meta": {"n": %b}, ' % (b"9" * DIGITS))


def escapes(request: Message) -> bytes:
    text = "\x1b[2J\x1b]0;owned\x07\x00\u202e" + request["params"]["arguments"]["ticket"]
    return encoded(reply(request, result=result(request, text)))


def string_id(request: Message) -> bytes:
    return encoded(reply({"id": str(request["id"])}, result=result(request)))


def twice(request: Message) -> list[bytes]:
    """The right answer, then another one to the same request."""
    return [
        encoded(reply(request, result=result(request))),
        encoded(reply(request, result=result(request, "something else"))),
    ]


def huge(request: Message) -> bytes:
    return encoded(reply(request, result=result(request, "x" * HUGE_BYTES)))


ANSWERS: Mapping[str, Callable[[Message], bytes]] = {
    function.__name__: function
    for function in (
        *(half, not_rpc, invalid_utf8, in_an_array, error_as_text, both_members, not_a_number, lone_surrogate),
        *(deep, other_id, huge_number, escapes, string_id, huge),
    )
}
"""How a `tools/call` is answered while the fault of that name is in force."""


def broken_tools() -> list[Any]:
    """Definitions that break strict readers, a good one in their middle."""
    recursive = {"type": "object", "properties": {"next": {"$ref": "#"}}}
    remote = {"$ref": "http://127.0.0.1:9/schema.json"}
    bad: list[Any] = [
        {"name": "no_schema"},
        {"name": "null_schema", "inputSchema": None},
        {"name": "text_schema", "inputSchema": "object"},
        tool("wrong_type", inputSchema={"type": 7}),
        tool("recursive", inputSchema=recursive),
        tool("remote", inputSchema=remote),
        tool("huge_description", description="x" * 1_000_000),
        {"inputSchema": {"type": "object"}},
        {"name": 5, "inputSchema": {"type": "object"}},
        {"name": "", "inputSchema": {"type": "object"}},
        tool("deep", inputSchema={"type": "object", "default": json.loads("[" * 90 + "]" * 90)}),
    ]
    return [*bad, tool(), None, 17, "tool", [tool("listed")]]


def many_tools() -> list[Any]:
    return [tool(), *(tool(f"tool_{number}", description="One of many.") for number in range(TOOLS - 1))]


def others_names() -> list[Any]:
    """The names of a sibling, of built-in tools, and some that nobody should print."""
    others = ["good__work", "sysinfo", "ask", "search_tools", "call_tool"]
    odd = ["../../etc", "a\u202eb", "\x1b[2J", " ", "x" * 500]
    return [tool(), *map(tool, [*others, *odd]), tool()]


OFFERS: Mapping[str, Callable[[], list[Any]]] = {
    function.__name__: function for function in (broken_tools, many_tools, others_names)
}
"""What `tools/list` answers with while the fault of that name is in force; the good tool is always among it."""
