"""`execute`: in the real sandbox, within its limits, one after the other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp_gateway.builtin import Builtin, Services, enabled
from mcp_gateway.builtin.execute import execute_tool
from mcp_gateway.config.parts import ExecuteTool, Tools
from mcp_gateway.errors import Busy, InvalidParams, SandboxUnavailable
from mcp_gateway.sandbox.choice import SandboxChoice

from tests.builtin.calls import Listener, call, use
from tests.setup import container
from tests.support import require


def tool(choice: SandboxChoice, **settings: Any) -> Builtin:
    return execute_tool(ExecuteTool.model_validate(settings), Services(sandbox=choice))


async def unavailable() -> SandboxChoice:
    """A choice that found nothing: the configuration names a runner that this version has not."""
    choice = SandboxChoice("unsafe-none")
    choice.want()
    await choice.run()
    return choice


async def test_a_command_runs_with_its_arguments_as_they_are(made_choice: SandboxChoice) -> None:
    result = await use(tool(made_choice), argv=["printf", "%s|", "$HOME *", "; ls"])

    assert (result["exit_code"], result["stdout"]) == (0, "$HOME *|; ls|")


@pytest.mark.parametrize(
    ("language", "code"),
    [("python", "import sys; print(sys.stdin.read().upper())"), ("sh", "tr a-z A-Z; echo")],
)
async def test_code_runs_in_its_language_and_reads_its_input(
    made_choice: SandboxChoice, language: str, code: str
) -> None:
    result = await use(tool(made_choice), code=code, language=language, stdin="hello")

    assert result["stdout"] == "HELLO\n"


async def test_node_runs_where_it_is_installed(made_choice: SandboxChoice) -> None:
    try:
        said = (await use(tool(made_choice), code="console.log(6 * 7)", language="node"))["stdout"]
    except InvalidParams as missing:
        said = missing.message

    assert said == "42\n" or "node is not installed" in said


async def test_code_without_a_language_is_python(made_choice: SandboxChoice) -> None:
    assert (await use(tool(made_choice), code="print(6 * 7)"))["stdout"] == "42\n"


async def test_a_program_that_fails_is_a_result_and_no_error(made_choice: SandboxChoice) -> None:
    result = await call(tool(made_choice), {"argv": ["sh", "-c", "echo no >&2; exit 3"]})

    assert result["isError"] is False
    assert result["structuredContent"].items() >= {"exit_code": 3, "stderr": "no\n", "killed_by": None}.items()


async def test_a_program_that_is_not_there_is_a_result(made_choice: SandboxChoice) -> None:
    assert (await use(tool(made_choice), argv=["no-such-program"]))["exit_code"] == 127


async def test_the_callers_time_limit_ends_the_run(made_choice: SandboxChoice) -> None:
    result = await use(tool(made_choice), argv=["sleep", "30"], timeout_s=0.5)

    assert result["killed_by"] == "wall"
    assert result["duration_ms"] < 5000


async def test_the_deadline_of_the_call_ends_the_run(made_choice: SandboxChoice) -> None:
    result = await call(tool(made_choice), {"argv": ["sleep", "30"]}, deadline_s=0.5)

    assert result["structuredContent"]["killed_by"] == "wall"


async def test_output_above_the_limit_is_cut_and_said_to_be(made_choice: SandboxChoice) -> None:
    result = await use(tool(made_choice, output=1024), argv=["yes"])

    assert (result["killed_by"], result["truncated"]) == ("output", True)


async def test_there_is_no_network_unless_it_is_configured(made_choice: SandboxChoice) -> None:
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
        port = listener.extra(anyio.abc.SocketAttribute.local_port)
        code = f"import socket; socket.create_connection(('127.0.0.1', {port}), 2)"

        assert (await use(tool(made_choice), code=code))["exit_code"] != 0
        assert (await use(tool(made_choice, network=True), code=code))["exit_code"] == 0


async def test_an_allowed_folder_can_be_changed(made_choice: SandboxChoice, tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()

    await use(tool(made_choice, workdirs=[tmp_path]), argv=["touch", "made"], workdir="project")

    assert (tmp_path / "project" / "made").exists()


async def test_a_folder_that_is_not_allowed_is_refused(made_choice: SandboxChoice, tmp_path: Path) -> None:
    with pytest.raises(InvalidParams, match=r"below tools\.execute\.workdirs"):
        await use(tool(made_choice, workdirs=[tmp_path / "a"]), argv=["true"], workdir=str(tmp_path))


async def test_without_allowed_folders_the_setting_is_named(made_choice: SandboxChoice) -> None:
    with pytest.raises(InvalidParams, match=r"list some under tools\.execute\.workdirs"):
        await use(tool(made_choice), argv=["true"], workdir="/")


async def test_a_shell_text_is_taken_only_where_it_is_switched_on(made_choice: SandboxChoice) -> None:
    with pytest.raises(InvalidParams, match="unknown argument 'shell'"):
        await use(tool(made_choice), shell="echo a | tr a b")

    assert (await use(tool(made_choice, shell=True), shell="echo a | tr a b"))["stdout"] == "b\n"


async def test_a_caller_that_follows_progress_hears_of_it(made_choice: SandboxChoice) -> None:
    listener = Listener()

    await call(tool(made_choice), {"argv": ["sleep", "1.5"]}, sink=listener)

    assert listener.heard[0]["progress"] > 0
    assert "running for" in listener.heard[0]["message"]


async def test_cancelling_kills_the_program(made_choice: SandboxChoice, tmp_path: Path) -> None:
    beating = {"code": "while :; do echo x >> beats; sleep 0.02; done", "language": "sh", "workdir": str(tmp_path)}
    listener = Listener()
    async with anyio.create_task_group() as group:
        group.start_soon(lambda: call(tool(made_choice, workdirs=[tmp_path]), beating, sink=listener))
        with anyio.fail_after(10):
            await listener.spoken_to.wait()
        group.cancel_scope.cancel()
    beats = (tmp_path / "beats").stat().st_size
    await anyio.sleep(0.2)  # ten beats, were it alive

    assert (tmp_path / "beats").stat().st_size == beats > 0


async def test_more_calls_than_the_queue_holds_are_told_to_come_back(made_choice: SandboxChoice) -> None:
    narrow = tool(made_choice, concurrency=1, queue=0)
    listener = Listener()
    async with anyio.create_task_group() as group:
        group.start_soon(lambda: call(narrow, {"argv": ["sleep", "20"]}, sink=listener))
        with anyio.fail_after(10):
            await listener.spoken_to.wait()
        with pytest.raises(Busy, match="execute is busy"):
            await use(narrow, argv=["true"])
        group.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({}, "exactly one program"),
        ({"argv": ["a"], "code": "b"}, "exactly one program"),
        ({"argv": []}, "at least 1 item"),
        ({"argv": "ls -l"}, "array"),
        ({"argv": ["a"], "language": "python"}, "language belongs to code"),
        ({"code": "x", "language": "perl"}, "'python', 'sh' or 'node'"),
        ({"code": "x" * 100_001}, "at most 100000"),
        ({"argv": ["true"], "timeout_s": 31}, "at most 30 here"),
        ({"argv": ["true"], "timeout_s": 0}, "greater than 0"),
        ({"argv": ["a\0b"]}, "NUL"),
        ({"argv": ["true"], "env": {"A": "b"}}, "unknown argument 'env'"),
    ],
)
async def test_arguments_that_do_not_fit_are_refused(
    made_choice: SandboxChoice, arguments: dict[str, Any], reason: str
) -> None:
    with pytest.raises(InvalidParams, match=reason):
        await call(tool(made_choice), arguments)


async def test_without_a_sandbox_nothing_runs_and_the_reason_is_told() -> None:
    with pytest.raises(SandboxUnavailable, match="nothing was executed: this version has no runner 'unsafe-none'"):
        await use(tool(await unavailable()), argv=["true"])


@pytest.mark.parametrize(("switch", "listed"), [("auto", False), (True, True), (False, False)])
async def test_without_a_sandbox_it_is_listed_only_when_the_configuration_insists(switch: Any, listed: bool) -> None:
    tools = Tools.model_validate({"execute": {"enabled": switch}})

    names = [tool.name for tool in enabled(tools, Services(sandbox=await unavailable()))]

    assert ("execute" in names) == listed


@pytest.mark.parametrize(("switch", "listed"), [("auto", True), (False, False)])
def test_with_a_sandbox_it_is_listed_unless_switched_off(made_choice: SandboxChoice, switch: Any, listed: bool) -> None:
    tools = Tools.model_validate({"execute": {"enabled": switch}})

    names = [tool.name for tool in enabled(tools, Services(sandbox=made_choice))]

    assert ("execute" in names) == listed


@pytest.mark.parametrize(
    ("settings", "destructive", "open_world"),
    [({}, False, False), ({"workdirs": ["/tmp"]}, True, False), ({"network": True}, True, True)],
)
def test_the_annotations_say_what_the_settings_allow(
    settings: dict[str, Any], destructive: bool, open_world: bool
) -> None:
    annotations = tool(SandboxChoice(), **settings).annotations

    assert (annotations["readOnlyHint"], annotations["destructiveHint"]) == (False, destructive)
    assert annotations["openWorldHint"] == open_world


async def test_code_runs_with_the_interpreter_of_the_image() -> None:
    choice = SandboxChoice("container", container=container("busybox"))
    choice.want()
    await choice.run()
    require(choice.works, "the container engine of the tests does not work here")

    ran = await use(tool(choice), code="busybox | head -n 1", language="sh")
    missing = await use(tool(choice), code="1")

    assert (ran["exit_code"], ran["backend"]) == (0, "container")
    assert ran["stdout"].startswith("BusyBox ")
    assert missing["exit_code"] == 127
