"""`mcp-gateway ask`: the answer on standard output, what was done on standard error."""

from __future__ import annotations

from pathlib import Path

import anyio
import anyio.to_thread
from mcp_gateway.errors import CODES

from tests.cli.command import Done, run, tool_box
from tests.fakes.openai_server import Refuses, Says, Turn, openai_server
from tests.gateway import Gateway, write_config

USES = Says(calls=[("sysinfo", {"sections": ["gateway"]})])


async def asked(folder: Path, turns: list[Turn], *arguments: str) -> Done:
    async with openai_server(turns) as model:
        write_config(folder, {"mcpServers": {"box": tool_box("kinds")}, "llm": {"base_url": model.url}})
        return await anyio.to_thread.run_sync(lambda: run(folder, "ask", *arguments))


async def test_the_answer_is_all_that_is_on_standard_output(tmp_path: Path) -> None:
    done = await asked(tmp_path, [USES, Says("All is well.")], "is", "all", "well?")
    assert (done.status, done.out) == (0, "All is well.\n")
    assert "call_1 sysinfo: ok" in done.err


async def test_steps_are_told_as_they_happen_and_once(tmp_path: Path) -> None:
    done = await asked(tmp_path, [USES, Says("All is well.")], "is all well?")
    steps = [line.partition(", ")[0] for line in done.err.splitlines() if line.startswith("call_1 ")]
    assert steps == ["call_1 sysinfo: calling", "call_1 sysinfo: ok"]


async def test_a_step_that_failed_is_told_with_its_reason(tmp_path: Path) -> None:
    wrong = Says(calls=[("sysinfo", {"sections": ["nonsense"]})])
    done = await asked(tmp_path, [wrong, Says("Not known.")], "is all well?")
    ended = [line for line in done.err.splitlines() if line.startswith("call_1 ")][-1]
    assert "ok" not in ended
    assert "None" not in ended


async def test_programs_get_the_whole_result(tmp_path: Path) -> None:
    done = await asked(tmp_path, [USES, Says("All is well [call_1].")], "is all well?", "--json")
    assert (done.body["answer"], done.body["citations"]) == ("All is well [call_1].", ["call_1"])


async def test_a_refused_key_has_its_own_status(tmp_path: Path) -> None:
    done = await asked(tmp_path, [Refuses(401, "bad key")], "is all well?")
    assert done.status == CODES["model_refused"].exit


def test_without_a_model_the_tools_are_named(tmp_path: Path) -> None:
    write_config(tmp_path, {"mcpServers": {}})
    done = run(tmp_path, "ask", "system information")
    assert done.status == 0
    assert "sysinfo(" in done.out


def test_a_running_gateway_answers(served: Path) -> None:
    done = run(served, "ask", "system information", "--json")
    assert done.body["mode"] == "retrieval"


async def test_steps_of_a_running_gateway_are_told_as_they_happen(tmp_path: Path) -> None:
    async with openai_server([USES, Says("All is well.")]) as model:
        config = {"mcpServers": {"box": tool_box("kinds")}, "llm": {"base_url": model.url}}

        def asked_there() -> Done:
            with Gateway(tmp_path, config):
                return run(tmp_path, "ask", "is all well?")

        done = await anyio.to_thread.run_sync(asked_there)

    steps = [line.partition(", ")[0] for line in done.err.splitlines() if line.startswith("call_1 ")]
    assert (done.out, steps) == ("All is well.\n", ["call_1 sysinfo: calling", "call_1 sysinfo: ok"])


async def test_a_running_gateway_says_why_there_is_no_answer(tmp_path: Path) -> None:
    async with openai_server([Refuses(401, "bad key")]) as model:
        config = {"mcpServers": {}, "llm": {"base_url": model.url}}

        def asked_there() -> Done:
            with Gateway(tmp_path, config):
                return run(tmp_path, "ask", "is all well?")

        done = await anyio.to_thread.run_sync(asked_there)

    assert done.status == CODES["model_refused"].exit


def test_a_gateway_without_the_tool_says_so(tmp_path: Path) -> None:
    with Gateway(tmp_path, {"mcpServers": {}, "tools": {"ask": {"enabled": False}}}):
        assert run(tmp_path, "ask", "is all well?").status == CODES["unknown_name"].exit
