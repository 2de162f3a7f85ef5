"""`ask` over two real servers at once: from the command line and from a real client, with progress."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest
from mcp import Client

from tests.cli.command import Done, run
from tests.fakes.openai_server import MODEL, Says, openai_server
from tests.gateway import Gateway, write_config
from tests.servers.fleet import make_repository, stdio
from tests.setup import python_server

pytestmark = pytest.mark.slow

QUESTION = "What is 09:30 in Tokyo for somebody in Kolkata, and what was committed last?"
ZONES = {"source_timezone": "Asia/Tokyo", "time": "09:30", "target_timezone": "Asia/Kolkata"}
ANSWER = "It is 3.5 hours earlier [call_1], and the first line was plugged in [call_2]."
USED = [("call_1", "time__convert_time", "time", True), ("call_2", "git__git_log", "git", True)]


@dataclass(slots=True)
class Desk:
    """Where the servers and a model that knows what to ask them are configured."""

    folder: Path
    config: dict[str, Any]
    told: list[str] = field(default_factory=list)

    async def ask(self, *arguments: str) -> Done:
        return await anyio.to_thread.run_sync(lambda: run(self.folder, "ask", *arguments, QUESTION))


@asynccontextmanager
async def desk(folder: Path) -> AsyncIterator[Desk]:
    repository = make_repository(folder / "repository")

    def brain(body: dict[str, Any]) -> Says:
        heard = [message["content"] for message in body["messages"] if message["role"] == "tool"]
        there.told = heard
        if heard:
            return Says(ANSWER)
        return Says(calls=[("time__convert_time", ZONES), ("git__git_log", {"repo_path": str(repository)})])

    servers = {
        "time": stdio([*python_server("mcp-server-time"), "--local-timezone", "UTC"]),
        "git": stdio([*python_server("mcp-server-git"), "--repository", str(repository)]),
    }
    with anyio.fail_after(60):
        async with openai_server(brain) as model:
            there = Desk(folder, {"mcpServers": servers, "llm": {"base_url": model.url, "model": MODEL}})
            yield there


def used(told: dict[str, Any]) -> list[tuple[str, str, str, bool]]:
    return [(call["id"], call["tool"], call["server"], call["ok"]) for call in told["tool_calls"]]


def assert_told(there: Desk) -> None:
    """The model has read what both servers said."""
    clock, log = there.told
    assert "-3.5h" in clock
    assert "plug in the first line" in log


async def test_the_command_line_asks_without_a_gateway(tmp_path: Path) -> None:
    async with desk(tmp_path) as there:
        write_config(tmp_path, there.config)
        done = await there.ask("--json")
        assert (done.status, used(done.body), done.body["answer"]) == (0, USED, ANSWER), done
        assert_told(there)


async def test_the_command_line_follows_an_ask(tmp_path: Path) -> None:
    async with desk(tmp_path) as there:
        write_config(tmp_path, there.config)
        done = await there.ask()
        steps = [line.partition(", ")[0] for line in done.err.splitlines() if line.startswith("call_")]
        assert (done.status, done.out) == (0, f"{ANSWER}\n"), done
        assert sorted(steps) == sorted(f"{id} {tool}: {step}" for id, tool, _, _ in USED for step in ("calling", "ok"))


async def test_the_command_line_asks_the_running_gateway(tmp_path: Path) -> None:
    async with desk(tmp_path) as there:
        with Gateway(tmp_path, there.config) as gateway:
            gateway.wait_for_servers()
            done = await there.ask()
            assert (done.status, done.out) == (0, f"{ANSWER}\n"), done
            assert "call_2 git__git_log: ok" in done.err
            assert_told(there)


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_a_client_follows_an_ask(tmp_path: Path, mode: Any) -> None:
    followed: list[tuple[float, str]] = []

    async def heard(progress: float, total: float | None, message: str | None) -> None:
        followed.append((progress, message or ""))

    async with desk(tmp_path) as there:
        with Gateway(tmp_path, there.config) as gateway:
            gateway.wait_for_servers()
            async with Client(gateway.url, mode=mode) as client:
                result = await client.call_tool("ask", {"question": QUESTION}, progress_callback=heard)
        assert result.structured_content is not None
        assert (used(result.structured_content), result.structured_content["answer"]) == (USED, ANSWER)
        assert_told(there)
    values = [value for value, _ in followed]
    assert values == sorted(set(values))
    said = " ".join(message for _, message in followed)
    assert all(tool in said for _, tool, _, _ in USED)
    assert "plugged in" in said
