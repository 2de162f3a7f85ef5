"""An OpenAI-compatible server on loopback that says what a test's script says, over real HTTP.

A script is a list of turns, or a function of the request's body that gives one. A turn is text, calls, or a fault;
it is streamed where the request asks for it. Every body is recorded.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio

from tests.fakes.http_server import Request, ScriptedServer, Wire, scripted

MODEL = "parrot"


@dataclass(frozen=True, slots=True)
class Says:
    """A turn. `calls` are (name, arguments), arguments as JSON text or data; `usage` is None for a server that keeps
    quiet about it."""

    text: str | None = ""
    calls: Sequence[tuple[str, Any]] = ()
    finish: str | None = None
    ids: Sequence[str | None] | None = None
    usage: tuple[int, int] | None = (10, 5)
    breaks_off: bool = False
    has_index: bool = True


@dataclass(frozen=True, slots=True)
class Refuses:
    """A status with an error body."""

    status: int
    message: str = "no"
    retry_after: str = "0"
    body: bytes | None = None


@dataclass(frozen=True, slots=True)
class Sends:
    """Any bytes with status 200."""

    body: bytes
    content_type: str = "application/json"


@dataclass(frozen=True, slots=True)
class Hangs:
    """No answer at all; `dribbles` sends pieces for ever instead."""

    dribbles: bool = False


Turn = Says | Refuses | Sends | Hangs
Brain = Callable[[dict[str, Any]], Turn]


@dataclass(slots=True)
class OpenAIServer:
    """What a test sees of it."""

    server: ScriptedServer
    bodies: list[dict[str, Any]] = field(default_factory=list)
    embedded: list[list[str]] = field(default_factory=list)
    embed: Callable[[str], list[float]] = lambda text: [float(len(text)), 1.0]
    embedding_fault: Turn | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.port}/v1"

    def tool_messages(self, turn: int = -1) -> list[dict[str, Any]]:
        """What the model was told of its calls, in one of the requests."""
        return [message for message in self.bodies[turn]["messages"] if message["role"] == "tool"]

    def offered(self, turn: int = 0) -> list[str]:
        """The tools shown in one of the requests."""
        return [tool["function"]["name"] for tool in self.bodies[turn].get("tools", ())]


def in_turn(turns: Sequence[Turn]) -> Brain:
    """One turn after the other; the last one for ever."""
    left = list(turns)
    return lambda body: left.pop(0) if len(left) > 1 else left[0]


@asynccontextmanager
async def openai_server(script: Sequence[Turn] | Brain) -> AsyncIterator[OpenAIServer]:
    """Serve on a free port of the loopback."""
    brain = script if callable(script) else in_turn(script)

    async def answer(request: Request, wire: Wire) -> None:
        if request.target == "/v1/models":
            await wire.json({"object": "list", "data": [{"id": MODEL, "object": "model"}]})
        elif request.target == "/v1/embeddings":
            await _embed(request.json, wire, told)
        else:
            told.bodies.append(request.json)
            await _say(brain(request.json), request.json, wire)

    async with scripted(answer) as server:
        told = OpenAIServer(server)
        yield told


async def _embed(body: dict[str, Any], wire: Wire, told: OpenAIServer) -> None:
    assert body["encoding_format"] == "float"
    told.embedded.append(body["input"])
    if told.embedding_fault is not None:
        await _say(told.embedding_fault, body, wire)
        return
    vectors = [
        {"object": "embedding", "index": index, "embedding": told.embed(text)}
        for index, text in enumerate(body["input"])
    ]
    await wire.json({"object": "list", "model": body["model"], "data": vectors[::-1], "usage": {}})


async def _say(turn: Turn, body: Mapping[str, Any], wire: Wire) -> None:
    match turn:
        case Refuses(status, message, retry_after, raw):
            error = json.dumps({"error": {"message": message, "type": "invalid_request_error"}}).encode()
            await wire.whole(
                status, error if raw is None else raw, content_type="application/json", retry_after=retry_after
            )
        case Sends(raw, content_type):
            await wire.whole(200, raw, content_type=content_type)
        case Hangs(False):
            await anyio.sleep_forever()
        case Hangs(True):
            await wire.begin_events()
            while True:
                await wire.event(_chunk({"content": "la "}))
                await anyio.sleep(0.01)
        case Says():
            await (_stream(turn, wire) if body.get("stream") else _whole(turn, wire))


async def _whole(turn: Says, wire: Wire) -> None:
    message = {"role": "assistant", "content": turn.text, "tool_calls": _calls(turn) or None}
    choice = {"index": 0, "message": message, "finish_reason": _finish(turn)}
    await wire.json({"id": "1", "object": "chat.completion", "model": MODEL, "choices": [choice], **_usage(turn)})


async def _stream(turn: Says, wire: Wire) -> None:
    """Text in two pieces, then each call in two pieces, then the end and the usage."""
    await wire.begin_events()
    text = turn.text or ""
    for piece in (text[: len(text) // 2], text[len(text) // 2 :]):
        if piece:
            await wire.event(_chunk({"content": piece}))
    if turn.breaks_off:
        wire.reset()
        return
    for index, call in enumerate(_calls(turn)):
        function, place = call["function"], {"index": index} if turn.has_index else {}
        begun = {**place, **call, "function": {"name": function["name"], "arguments": ""}}
        await wire.event(_chunk({"tool_calls": [begun]}))
        await wire.event(_chunk({"tool_calls": [{**place, "function": {"arguments": function["arguments"]}}]}))
    await wire.event(_chunk({}, _finish(turn)))
    if turn.usage is not None:
        await wire.event({**_chunk({}), "choices": [], **_usage(turn)})
    await wire.chunk(b"data: [DONE]\n\n")
    await wire.end_events()


def _calls(turn: Says) -> list[dict[str, Any]]:
    ids = turn.ids or [f"x{number}" for number in range(len(turn.calls))]
    return [
        {
            "id": id,
            "type": "function",
            "function": {"name": name, "arguments": given if isinstance(given, str) else json.dumps(given)},
        }
        for id, (name, given) in zip(ids, turn.calls, strict=True)
    ]


def _finish(turn: Says) -> str:
    return turn.finish or ("tool_calls" if turn.calls else "stop")


def _usage(turn: Says) -> dict[str, Any]:
    if turn.usage is None:
        return {}
    given, said = turn.usage
    return {"usage": {"prompt_tokens": given, "completion_tokens": said, "total_tokens": given + said}}


def _chunk(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {"id": "1", "object": "chat.completion.chunk", "model": MODEL, "choices": [choice]}
