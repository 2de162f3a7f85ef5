"""The stdio door of a real process: lines in, lines out, and the end of both."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
from anyio.abc import Process

from tests import fakes
from tests.gateway import environment, stdio_command
from tests.interaction.house import FEW_BUILTINS
from tests.interaction.posting import opening

EVERYTHING = Path(fakes.__file__).with_name("everything.py")
UP = {"command": sys.executable, "args": [str(EVERYTHING), "--legacy"], "era": "legacy"}
CONFIG = {"mcpServers": {"up": UP}, "tools": FEW_BUILTINS}
STOP_S = 2 * 1.5
"""Twice what is promised (design, decision 14)."""
"""Design, decision 14."""


def line(method: str, id: int | None = None, **params: Any) -> bytes:
    message = {"jsonrpc": "2.0", "method": method, "params": params} | ({} if id is None else {"id": id})
    return json.dumps(message).encode() + b"\n"


OPENING = line("initialize", 1, **opening()) + line("notifications/initialized")


class Talk:
    """The process, and what it said so far."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self._rest = b""

    async def say(self, data: bytes) -> None:
        assert self.process.stdin is not None
        await self.process.stdin.send(data)

    async def hear(self) -> dict[str, Any]:
        """The next line, which must be JSON."""
        assert self.process.stdout is not None
        with anyio.fail_after(15):
            while b"\n" not in self._rest:
                self._rest += await self.process.stdout.receive()
        first, _, self._rest = self._rest.partition(b"\n")
        message: dict[str, Any] = json.loads(first)
        return message

    async def answer(self, id: int) -> dict[str, Any]:
        """The answer to a request; what comes before it is left aside."""
        while (message := await self.hear()).get("id") != id:
            pass
        return message

    async def end(self) -> float:
        """Close the input and wait for the process; seconds."""
        assert self.process.stdin is not None
        began_s = time.monotonic()
        await self.process.stdin.aclose()
        with anyio.fail_after(10):
            await self.process.wait()
        return time.monotonic() - began_s


@asynccontextmanager
async def talking(folder: Path, config: dict[str, Any] = CONFIG) -> AsyncIterator[Talk]:
    command = stdio_command(folder, config)
    async with await anyio.open_process(command, stderr=None, env=environment(folder)) as process:
        try:
            yield Talk(process)
        finally:
            if process.returncode is None:
                process.kill()


async def waiting(talk: Talk, seconds: float) -> None:
    """Open the session and have one call in flight upstream."""
    await talk.say(OPENING)
    await talk.answer(1)
    await talk.say(line("tools/call", 2, name="up__echo", arguments={"text": "ready"}))
    await talk.answer(2)
    await talk.say(line("tools/call", 3, name="up__wait", arguments={"seconds": seconds}))
    await talk.say(line("tools/call", 4, name="up__echo", arguments={"text": "after"}))
    await talk.answer(4)


async def test_bad_lines_are_answered_at_once_and_the_session_goes_on(tmp_path: Path) -> None:
    async with talking(tmp_path, {"mcpServers": {}}) as talk:
        await talk.say(OPENING)
        await talk.answer(1)
        for bad, code, id in [
            (b"hello", -32700, None),
            (b"[]", -32600, None),
            (b'{"jsonrpc":"2.0","id":7,"method":5}', -32600, 7),
            (b"[" * 10_000, -32700, None),
            (b'{"jsonrpc":"2.0","id":1,"method":"x","params":{"n":NaN}}', -32700, None),
            (b" " * (5 * 1024 * 1024), -32600, None),
        ]:
            await talk.say(bad + b"\n")
            reply = await talk.hear()
            assert (reply["error"]["code"], reply["id"]) == (code, id)
        await talk.say(line("ping", 9))
        assert await talk.answer(9) == {"jsonrpc": "2.0", "id": 9, "result": {}}


async def test_the_end_of_the_input_answers_what_is_in_flight(tmp_path: Path) -> None:
    async with talking(tmp_path) as talk:
        await waiting(talk, 0.3)
        took_s = await talk.end()
        answered = await talk.answer(3)

    assert answered["result"]["content"][0]["text"] == "waited"
    assert took_s < STOP_S


async def test_the_end_of_the_input_does_not_wait_for_a_long_call(tmp_path: Path) -> None:
    async with talking(tmp_path) as talk:
        await waiting(talk, 60)
        took_s = await talk.end()

        assert "error" in await talk.answer(3)
    assert took_s < STOP_S


def test_requests_from_a_file_are_answered_into_a_file(tmp_path: Path) -> None:
    requests, answers = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    requests.write_bytes(OPENING + line("ping", 2) + line("tools/list", 3).rstrip())
    with requests.open("rb") as source, answers.open("wb") as sink:
        command = stdio_command(tmp_path, {"mcpServers": {}})
        subprocess.run(command, stdin=source, stdout=sink, env=environment(tmp_path), timeout=20, check=True)

    assert [json.loads(each)["id"] for each in answers.read_text().splitlines()] == [1, 2, 3]


def test_no_input_at_all_is_the_end(tmp_path: Path) -> None:
    command = stdio_command(tmp_path, {"mcpServers": {}})
    ended = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, env=environment(tmp_path), timeout=20, check=False
    )

    assert (ended.returncode, ended.stdout) == (0, b"")


async def test_sigterm_lets_a_call_in_flight_finish(tmp_path: Path) -> None:
    async with talking(tmp_path) as talk:
        await waiting(talk, 0.3)
        began_s = time.monotonic()
        talk.process.send_signal(signal.SIGTERM)
        answered = await talk.answer(3)
        with anyio.fail_after(10):
            assert await talk.process.wait() == 0

    assert answered["result"]["content"][0]["text"] == "waited"
    assert time.monotonic() - began_s < STOP_S


async def test_a_client_that_closed_its_end_is_survived(tmp_path: Path) -> None:
    async with talking(tmp_path, {"mcpServers": {}}) as talk:
        await talk.say(OPENING)
        await talk.answer(1)
        assert talk.process.stdout is not None
        await talk.process.stdout.aclose()
        await talk.say(line("ping", 2) + line("ping", 3))

        assert await talk.end() < STOP_S


def test_a_stray_print_lands_on_standard_error(tmp_path: Path) -> None:
    program = (
        "import os, sys; from mcp_gateway.downstream.stdio import claim;"
        " kept = claim(); print('stray'); sys.stdout.flush(); os.write(kept[1], b'protocol')"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=20, check=True)

    assert (ended.stdout, ended.stderr) == (b"protocol", b"stray\n")
