"""What the tests of the keepers share: far ends that can be told how to fail, and a kept agent that is watched."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
from mcp_gateway.call import QUIET, Sink
from mcp_gateway.catalog.offer import Part
from mcp_gateway.catalog.route import Kind
from mcp_gateway.upstream.agent import MCPAgent
from mcp_gateway.upstream.definition import AgentRules, Definition, Dial, Isolation
from mcp_gateway.upstream.dispatch.base import Dispatcher, Listener
from mcp_gateway.upstream.dispatch.http import HttpDispatcher
from mcp_gateway.upstream.dispatch.origin import Origin
from mcp_gateway.upstream.dispatch.sse import SseDispatcher
from mcp_gateway.upstream.dispatch.stdio import StdioDispatcher
from mcp_gateway.upstream.eras import EraBook
from mcp_gateway.upstream.lifecycle import RestartPolicy, State
from mcp_gateway.upstream.line import Send
from mcp_gateway.upstream.session import Era, Link, Session
from mcp_gateway.wire import Raw, RawParams, loads

from tests import fakes

FAKES = Path(fakes.__file__).parent
EAGER = RestartPolicy(max_failures=5, first_s=0.05, cap_s=0.2)
PATIENT = RestartPolicy(max_failures=0, first_s=0.05, cap_s=0.2)
"""Parks at the first failure."""

WAIT_S = 15
"""Longest wait for what should come in a moment: 2 cores are shared."""


def stdio(argv: list[str], name: str = "up") -> Dial:
    def dial(listener: Listener) -> Dispatcher:
        return StdioDispatcher(name, argv, env={"PATH": os.defpath}, listener=listener)

    return dial


def everything(*arguments: str, name: str = "up") -> Dial:
    """The SDK's server over pipes."""
    return stdio([sys.executable, str(FAKES / "everything.py"), *arguments], name)


def http(url: str, name: str = "up") -> Dial:
    return lambda listener: HttpDispatcher(Origin(name, url, headers={}, tls=None, proxy=None), listener=listener)


def sse(url: str, name: str = "up") -> Dial:
    return lambda listener: SseDispatcher(Origin(name, url, headers={}, tls=None, proxy=None), listener=listener)


def defined(dial: Dial, *, name: str = "up", **more: Any) -> Definition:
    """A definition; keywords that it does not have are rules."""
    own: dict[str, Any] = {
        key: more.pop(key) for key in ("fallback", "isolation", "disabled", "transport") if key in more
    }
    rules = AgentRules(**{"timeout_s": 10.0, "restart": EAGER, **more})
    named: dict[str, Any] = {"transport": "stdio", "isolation": Isolation.SHARED} | own
    return Definition(
        name=name, fingerprint=name, settings=f"{name} {sorted(more.items())}", rules=rules, dial=dial, **named
    )


class Moody:
    """A `moody_server.py` in a folder of its own."""

    def __init__(self, folder: Path, mood: str = "", name: str = "up") -> None:
        self.folder = folder / name
        self.folder.mkdir()
        self.name = name
        self.mood(mood)

    def mood(self, words: str) -> None:
        new = self.folder / "new"
        new.write_text(words)
        new.replace(self.folder / "mood")

    def definition(self, **more: Any) -> Definition:
        argv = [sys.executable, "-I", "-S", str(FAKES / "moody_server.py"), str(self.folder)]
        return defined(stdio(argv, self.name), name=self.name, **more)

    @property
    def starts(self) -> list[int]:
        """The process ids of all children so far."""
        return [int(line) for line in self._lines("starts")]

    def messages(self) -> list[Any]:
        """What all children received so far."""
        return [json.loads(line) for line in self._lines("received")]

    def methods(self) -> list[str]:
        return [message.get("method") for message in self.messages()]

    def received(self, method: str) -> list[Any]:
        """The messages with this method so far."""
        return [message for message in self.messages() if message.get("method") == method]

    def _lines(self, name: str) -> list[str]:
        try:
            return (self.folder / name).read_text().splitlines()
        except FileNotFoundError:
            return []


@dataclass
class Watched:
    """What a kept agent reported, in order (the Watcher protocol)."""

    agent: MCPAgent = field(init=False)
    states: list[State] = field(default_factory=list)
    reasons: list[str | None] = field(default_factory=list)
    readings: list[Mapping[Kind, Part]] = field(default_factory=list)
    sessions: list[Session] = field(default_factory=list)
    heard: list[tuple[str, Any]] = field(default_factory=list)
    changed: anyio.Event = field(default_factory=anyio.Event)

    def state_changed(self, agent: MCPAgent) -> None:
        self.states.append(agent.state)
        self.reasons.append(agent.reason)
        self._notice()

    def offer_read(self, agent: MCPAgent, session: Session, parts: Mapping[Kind, Part]) -> None:
        self.readings.append(parts)
        self.sessions.append(session)
        self._notice()

    def notified(self, agent: MCPAgent, method: str, params: RawParams) -> None:
        self.heard.append((method, {key: loads(value) for key, value in params.items()}))
        self._notice()

    def _notice(self) -> None:
        self.changed.set()
        self.changed = anyio.Event()

    async def until(self, condition: Callable[[], bool], within_s: float = WAIT_S) -> None:
        with anyio.fail_after(within_s):
            while not condition():
                await self.changed.wait()

    async def ready(self, within_s: float = WAIT_S) -> None:
        await self.until(lambda: self.agent.link is not None and self.agent.state is State.READY, within_s)

    async def state(self, state: State) -> None:
        await self.until(lambda: self.agent.state is state)

    def tools(self) -> list[str]:
        """The names of the tools that were read last."""
        part = next(parts[Kind.TOOL] for parts in reversed(self.readings) if Kind.TOOL in parts)
        return [loads(entry["name"]) for entry in part.entries]

    async def call(self, tool: str = "tool_0", sink: Sink = QUIET, **arguments: Any) -> Any:
        """Call a tool the way the gateway does."""
        deadline_s = arguments.pop("deadline_s", None)
        return loads(await self.agent.call(calling(tool, **arguments), sink, deadline_s=deadline_s, tool=tool))

    async def pid(self) -> int:
        """The process that answers."""
        with anyio.fail_after(WAIT_S):
            return int((await self.call())["structuredContent"]["pid"])


def calling(tool: str, **arguments: Any) -> Send:
    """Sends a call in the terms of the upstream's revision."""

    async def send(link: Link, sink: Sink) -> Raw:
        params = {"name": tool, "arguments": arguments}
        if link.session.modern:
            return await link.request("tools/call", params, sink)
        return await link.dispatcher.call("tools/call", params, sink)

    return send


@asynccontextmanager
async def kept(
    definition: Definition, *, book: EraBook | None = None, capabilities: Mapping[str, Any] | None = None
) -> AsyncIterator[Watched]:
    """An agent that is kept while the context lasts."""
    watched = Watched()
    memory = (book or EraBook(None)).entry(definition.fingerprint)
    watched.agent = MCPAgent(definition, watcher=watched, memory=memory, capabilities=capabilities or {})
    async with anyio.create_task_group() as group:
        group.start_soon(watched.agent.run)
        try:
            yield watched
        finally:
            group.cancel_scope.cancel()


def remembering(era: Era, name: str = "up") -> EraBook:
    """A book that holds a verdict about the upstream."""
    book = EraBook(None)
    book.remember(name, era)
    return book
