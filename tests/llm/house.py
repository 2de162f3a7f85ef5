"""One ask in a small house: a model on loopback, tools that record their calls, and the loop between them."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import anyio
from mcp_gateway.call import QUIET, Call, Client, Sink
from mcp_gateway.catalog import CatalogEntry, Kind
from mcp_gateway.catalog.route import Route
from mcp_gateway.errors import UnknownName
from mcp_gateway.llm.bounds import Bounds
from mcp_gateway.llm.chat import OpenAIService
from mcp_gateway.llm.events import AskEvent
from mcp_gateway.llm.loop import AskLoop, Question
from mcp_gateway.llm.messages import user
from mcp_gateway.llm.planning import Policy
from mcp_gateway.llm.result import AskResult
from mcp_gateway.llm.running import Caller, Runner, narrowed
from mcp_gateway.llm.service import LLMService, Settings
from mcp_gateway.llm.state import AskState, begin
from mcp_gateway.llm.toolbox import Choice, toolbox
from mcp_gateway.security.principal import LOCAL
from mcp_gateway.wire import Raw, encode

from tests.fakes.openai_server import MODEL, Brain, OpenAIServer, Turn, openai_server

READ = {"readOnlyHint": True}
WRITE = {"readOnlyHint": False, "destructiveHint": False}
DESTROY = {"readOnlyHint": False, "destructiveHint": True}

Answer = Callable[[Call], Awaitable[Any]]


def entry(name: str, annotations: Mapping[str, Any] | None = None, **definition: Any) -> CatalogEntry:
    """A tool of the server before `__`, or a built-in; its arguments are `text` unless the definition says."""
    server, _, own = name.rpartition("__")
    schema = {"type": "object", "properties": {"text": {"type": "string"}}}
    told = {"name": name, "description": f"Does {own}", "inputSchema": schema, **definition}
    if annotations is not None:
        told["annotations"] = dict(annotations)
    return CatalogEntry(Route(Kind.TOOL, server or None, name, own), told)


ENTRIES = [
    entry("box__read", READ),
    entry("box__look", READ),
    entry("box__write", WRITE),
    entry("box__delete", DESTROY),
    entry("box__unsaid"),
    entry("execute", DESTROY),
    entry("ask", DESTROY, _meta={"io.mcp-gateway/ask": True}),
]


def text(told: str, **more: Any) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": told}], **more}


@dataclass(slots=True)
class Tools:
    """The far end of `route`: every call is recorded, and answered by its name's function or with its own name."""

    answers: dict[str, Answer] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)

    @property
    def names(self) -> list[str]:
        return [str(call.params["name"]) for call in self.calls]

    async def route(self, call: Call, sink: Sink) -> Raw:
        self.calls.append(call)
        name = str(call.params["name"])
        if name not in {each.route.exposed for each in ENTRIES} and name not in self.answers:
            raise UnknownName("tool", name)
        answer = self.answers.get(name)
        return Raw(encode(await answer(call) if answer else text(f"{name} says hello")))


@dataclass(slots=True)
class House:
    """What a test works with. `run` is one ask from beginning to end, or to its question."""

    model: OpenAIServer
    service: LLMService
    tools: Tools = field(default_factory=Tools)
    entries: Sequence[CatalogEntry] = field(default_factory=lambda: list(ENTRIES))
    bounds: Bounds = field(default_factory=Bounds)
    policy: Policy = field(default_factory=Policy)
    choice: Choice = field(default_factory=Choice)
    events: list[AskEvent] = field(default_factory=list)
    searches: list[Sequence[str]] = field(default_factory=list)
    client: Client = field(default_factory=lambda: Client("test"))
    sink: Sink = QUIET
    deadline_s: float = 20.0
    may_execute: bool = False

    async def search(self, queries: Sequence[str], limit: int) -> list[str]:
        """Tools whose name holds a word of the queries."""
        self.searches.append(queries)
        words = {word for query in queries for word in query.lower().split()}
        return [name for each in self.entries if any(word in (name := each.route.exposed) for word in words)][:limit]

    def state(self, question: str = "what is there to read?") -> AskState:
        box = toolbox(self.entries, self.choice, may_execute=self.may_execute)
        return begin([user(question)], box, question)

    def loop(self) -> AskLoop:
        until = time.monotonic() + self.deadline_s
        principal = narrowed(LOCAL, may_execute=self.may_execute)
        caller = Caller(replace(self.client, principal=principal), self.sink)
        runner = Runner(self.tools.route, self.search, caller, self.bounds, self.events.append, until)
        return AskLoop(self.service, runner, self.search, self.bounds, self.policy, self.events.append, until)

    async def run(self, question: str = "what is there to read?") -> AskResult:
        outcome = await self.loop().run(self.state(question))
        assert isinstance(outcome, AskResult)
        return outcome

    async def until_asked(self, state: AskState) -> Question:
        outcome = await self.loop().run(state)
        assert isinstance(outcome, Question)
        return outcome


@asynccontextmanager
async def house(script: Sequence[Turn] | Brain, **settings: Any) -> AsyncIterator[House]:
    """A house whose model follows the script. `settings` are those of the service."""
    with anyio.fail_after(30):
        async with openai_server(script) as model:
            given = {"model": MODEL, "base_url": model.url, "timeout_s": 10.0, **settings}
            service = OpenAIService(Settings(**given))
            try:
                yield House(model, service)
            finally:
                await service.aclose()


def arguments(call: Call) -> Any:
    return json.loads(encode(call.params["arguments"]))
