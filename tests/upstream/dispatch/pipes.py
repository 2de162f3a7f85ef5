"""What the tests of the stdio wire share: a dispatcher on the fake child, and a sink that remembers."""

from __future__ import annotations

import os
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import anyio
from mcp_gateway.upstream.dispatch.base import MAX_MESSAGE_BYTES, Dispatcher, Listener
from mcp_gateway.upstream.dispatch.stdio import StdioDispatcher
from mcp_gateway.wire import Raw, RawParams, loads

from tests import fakes

SERVER = Path(fakes.__file__).with_name("stdio_server.py")


def unheard(method: str, params: RawParams) -> None:
    """The listener of a test that expects nothing for it."""


def child(
    mode: str = "plain",
    *,
    listener: Listener = unheard,
    env: Mapping[str, str] | None = None,
    cwd: str | None = None,
    max_message_bytes: int = MAX_MESSAGE_BYTES,
) -> StdioDispatcher:
    """A dispatcher that will start the fake child."""
    argv = [sys.executable, "-I", "-S", str(SERVER), mode]
    environment = {"PATH": os.defpath, **(env or {})}
    return StdioDispatcher(
        "fake", argv, env=environment, cwd=cwd, listener=listener, max_message_bytes=max_message_bytes
    )


async def ask(dispatcher: Dispatcher, method: str, params: RawParams | None = None, **more: Any) -> Any:
    """Call and decode."""
    return loads(await dispatcher.call(method, params, **more))


async def received(dispatcher: Dispatcher) -> list[Any]:
    """Every message that reached the child so far."""
    messages = (await ask(dispatcher, "received"))["received"]
    assert isinstance(messages, list)
    return messages


async def answers(dispatcher: Dispatcher) -> bool:
    """True when the session still works."""
    with anyio.fail_after(5):
        return bool(await ask(dispatcher, "echo", {"still": "here"}) == {"echo": {"still": "here"}})


class Remembering:
    """A sink that keeps what it is told; questions go to `reply`."""

    def __init__(
        self,
        owner: str = "client",
        token: str | int | None = None,
        reply: Callable[[str, RawParams], Awaitable[Raw]] | None = None,
    ) -> None:
        self.owner = owner
        self.token = token
        self.heard: list[tuple[str, Any]] = []
        self.questions: list[str] = []
        self.asked = anyio.Event()
        self._reply = reply

    def notify(self, method: str, params: RawParams) -> None:
        self.heard.append((method, {name: loads(raw) for name, raw in params.items()}))

    async def request(self, method: str, params: RawParams) -> Raw:
        self.questions.append(method)
        self.asked.set()
        if self._reply is None:
            return Raw(b'{"model": "mine"}')
        return await self._reply(method, params)


async def wait_forever(method: str, params: RawParams) -> Raw:
    await anyio.sleep_forever()
    raise AssertionError


async def until(condition: Callable[[], bool]) -> None:
    """Wait until something outside this process shows; nothing announces it, so it is looked at again and again."""
    with anyio.fail_after(5):
        while not condition():  # noqa: ASYNC110 - there is no event to wait for
            await anyio.sleep(0.005)
