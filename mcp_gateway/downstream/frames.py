"""The frames of `/ws`, JSON objects in text: what a client may send, and how the gateway writes what it says.

Text enters, one request leaves, or `BadFrame` with the id that the refusal belongs to. Nothing here waits or knows
of sockets.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from mcp_gateway.errors import InvalidParams
from mcp_gateway.llm.confirmation import CONFIRM_KEY
from mcp_gateway.wire import Malformed, Raw, RawParams, RequestId, check, encode, fields, loads

MAX_ID_CHARS: Final = 128
"""Our choice: ids are echoed in every frame of a call."""

MAX_ID: Final = 2**53 - 1
"""The whole numbers that every reader of JSON holds exactly (RFC 8259, section 6)."""


@dataclass(frozen=True, slots=True)
class Run:
    """A call of a tool. `is_ask`: its structured content is the answer; `confirms`: nobody is asked before it acts."""

    id: RequestId
    params: RawParams
    deadline_s: float | None = None
    is_ask: bool = False
    confirms: bool = False


@dataclass(frozen=True, slots=True)
class Cancel:
    """The call of this id is not wanted any more."""

    id: RequestId


@dataclass(frozen=True, slots=True)
class Listen:
    """From now on, or from now on not any more: events of these topics."""

    id: RequestId
    topics: tuple[str, ...]
    wanted: bool


Frame = Run | Cancel | Listen


class BadFrame(InvalidParams):
    """Text that is no frame; `id` is the one it was sent under, None when that cannot be told."""

    def __init__(self, id: RequestId | None, message: str) -> None:
        super().__init__(message)
        self.id = id


# -- what clients send -----------------------------------------------------------------------------------------------


def read_frame(text: str) -> Frame:
    """One frame of a client. Raises BadFrame."""
    body = text.encode()
    try:
        check(body)
        plain = loads(body)  # every number in it, too
        members = fields(body)
    except Malformed as bad:
        raise BadFrame(None, f"the frame is {bad}; send one JSON object") from None
    id = _id(plain.get("id"))
    if id is None:
        raise BadFrame(None, f"id must be a whole number or a string of at most {MAX_ID_CHARS} characters")
    match plain.get("type"):
        case "call":
            return _call(id, plain, members)
        case "ask":
            return _ask(id, plain, members)
        case "cancel":
            _only(id, plain)
            return Cancel(id)
        case "subscribe" | "unsubscribe" as kind:
            _only(id, plain, "topics")
            return Listen(id, _topics(id, plain), kind == "subscribe")
    raise BadFrame(id, "type must be one of call, ask, cancel, subscribe, unsubscribe")


def _id(value: object) -> RequestId | None:
    if isinstance(value, str):
        return value if len(value) <= MAX_ID_CHARS else None
    return value if type(value) is int and abs(value) <= MAX_ID else None


def _call(id: RequestId, plain: Mapping[str, Any], members: Mapping[str, Raw]) -> Run:
    _only(id, plain, "tool", "arguments", "timeout_s")
    tool = plain.get("tool")
    if not isinstance(tool, str):
        raise BadFrame(id, "tool must be the name of a tool")
    if not isinstance(plain.get("arguments", {}), dict):
        raise BadFrame(id, "arguments must be a JSON object")
    arguments = members.get("arguments", Raw(b"{}"))
    return Run(id, {"name": tool, "arguments": arguments}, _deadline_s(id, plain))


def _ask(id: RequestId, plain: Mapping[str, Any], members: Mapping[str, Raw]) -> Run:
    """Whatever is not the frame's own is an argument of `ask`, which says itself what it does not know."""
    confirm = plain.get("confirm", "deny")
    if confirm not in ("deny", "auto"):
        raise BadFrame(id, "confirm must be deny or auto")
    arguments = {name: value for name, value in members.items() if name not in _OF_AN_ASK_FRAME}
    params: RawParams = {"name": "ask", "arguments": Raw(encode(arguments))}
    if confirm == "auto":
        params["_meta"] = {CONFIRM_KEY: confirm}
    return Run(id, params, _deadline_s(id, plain), is_ask=True, confirms=confirm == "auto")


_OF_AN_ASK_FRAME: Final = frozenset({"id", "type", "confirm", "timeout_s"})


def _only(id: RequestId, plain: Mapping[str, Any], *members: str) -> None:
    if unknown := sorted(plain.keys() - {"id", "type", *members}):
        allowed = ", ".join(("id", "type", *members))
        raise BadFrame(id, f"unknown member {unknown[0]!r}; this frame holds {allowed}")


def _deadline_s(id: RequestId, plain: Mapping[str, Any]) -> float | None:
    timeout_s = plain.get("timeout_s")
    if timeout_s is not None and (type(timeout_s) not in (int, float) or timeout_s <= 0):
        raise BadFrame(id, "timeout_s must be a number of seconds above 0")
    return timeout_s


def _topics(id: RequestId, plain: Mapping[str, Any]) -> tuple[str, ...]:
    topics = plain.get("topics")
    if not isinstance(topics, list) or not topics or not all(isinstance(topic, str) for topic in topics):
        raise BadFrame(id, "topics must be a list of topics")
    return tuple(topics)


# -- what the gateway says -------------------------------------------------------------------------------------------


def result_frame(id: RequestId, result: bytes | Raw) -> str:
    """The end of a call: its result, as it came."""
    return (b'{"id":%b,"type":"result","result":%b}' % (encode(id), bytes(result))).decode()


def error_frame(id: RequestId | None, body: Mapping[str, Any]) -> str:
    """The end of a call, or the refusal of a frame: the error body of every HTTP door."""
    return _written({"id": id, "type": "error", "error": body})


def data_frame(id: RequestId, kind: str, data: Mapping[str, Any]) -> str:
    """What happens meanwhile."""
    return _written({"id": id, "type": kind, "data": data})


def _written(frame: Mapping[str, Any]) -> str:
    """Half a surrogate, as a name of a file may hold, is no text in JSON; it becomes a question mark."""
    try:
        return encode(frame).decode()
    except UnicodeEncodeError:
        return json.dumps(frame, ensure_ascii=False).encode("utf-8", "replace").decode()
