"""Commands as a user meets them: what is answered where, and with which exit code."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.command import Done, command, run, tool_box
from tests.gateway import environment, write_config

COMMANDS = ("serve", "list", "call", "inspect", "status", "validate", "schema")

NEED_A_FILE = (("serve",), ("list",), ("call", "x"), ("inspect", "x"), ("validate",))

ONE_SERVER = {"mcpServers": {"box": tool_box("kinds", "fail")}}


# -- help and usage ----------------------------------------------------------------------------------------------------


def test_help_names_every_command(tmp_path: Path) -> None:
    done = run(tmp_path, "--help")

    assert done.status == 0
    assert all(f"  {name} " in done.out for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(tmp_path: Path, name: str) -> None:
    done = run(tmp_path, name, "--help")

    assert done.status == 0
    assert done.out.startswith(f"Usage: mcp-gateway {name}")
    assert "--config" in done.out


def test_version(tmp_path: Path) -> None:
    assert run(tmp_path, "--version").out.startswith("mcp-gateway, version ")


def test_a_misspelt_command_gets_the_nearest_one(tmp_path: Path) -> None:
    done = run(tmp_path, "lsit")

    assert done.status == 2
    assert "no such command 'lsit', did you mean 'list'?" in done.err


def test_usage_errors_are_json_where_asked(tmp_path: Path) -> None:
    done = run(tmp_path, "list", "nonsense", "--json")

    assert (done.status, done.out) == (2, "")
    assert done.error["code"] == "usage"


@pytest.mark.parametrize(
    "arguments",
    [("--bogus",), ("list", "--bogus"), ("call",), ("serve", "--port", "65536"), ("serve", "--stdio", "--port", "1")],
)
def test_wrong_usage_exits_with_2(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    write_config(tmp_path, ONE_SERVER)
    done = run(tmp_path, *arguments)

    assert done.status == 2
    assert "Traceback" not in done.err


# -- the configuration file --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [("-c", "other.yaml", "validate"), ("validate", "-c", "other.yaml")])
def test_the_file_is_named_before_or_after_the_command(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    write_config(tmp_path, ONE_SERVER).rename(tmp_path / "other.yaml")
    done = run(tmp_path, *arguments)

    assert (done.status, done.out) == (0, "other.yaml: ok, 1 server\n")


def test_the_option_nearest_to_the_command_wins(tmp_path: Path) -> None:
    write_config(tmp_path, ONE_SERVER)

    assert run(tmp_path, "-c", "missing.yaml", "validate", "-c", "gateway.yaml").status == 0


@pytest.mark.parametrize("arguments", [*NEED_A_FILE, ("status",)])
def test_no_configuration_file_exits_with_66(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    done = run(tmp_path, *arguments, XDG_CONFIG_HOME=str(tmp_path / "nothing"))

    assert (done.status, done.out) == (66, "")
    assert done.err.startswith("error[unknown_name]: no configuration file: write ./gateway.yaml")


def test_a_named_file_that_is_missing_exits_with_66(tmp_path: Path) -> None:
    done = run(tmp_path, "-c", "missing.yaml", "list")

    assert (done.status, done.err) == (66, "error[unknown_name]: no such configuration file: missing.yaml\n")


@pytest.mark.parametrize("arguments", NEED_A_FILE)
def test_a_bad_configuration_exits_with_78_and_its_places(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    write_config(tmp_path, "mcpServers:\n  box: {comand: x}\nservr: {}\n")
    done = run(tmp_path, *arguments)

    assert (done.status, done.out) == (78, "")
    assert done.err.splitlines() == [
        "gateway.yaml:2:9: mcpServers.box.comand: unknown key, did you mean 'command'?",
        "gateway.yaml:3:1: servr: unknown key, did you mean 'server'?",
    ]


def test_a_directory_is_a_bad_configuration(tmp_path: Path) -> None:
    done = run(tmp_path, "-c", str(tmp_path), "list")

    assert done.status == 78
    assert "not a regular file" in done.err


def test_validate_tells_servers_skipped_today(tmp_path: Path) -> None:
    write_config(tmp_path, {"mcpServers": {"box": tool_box(env={"TOKEN": "${NOT_SET_ANYWHERE}"})}})
    done = run(tmp_path, "validate", "--json")

    assert done.status == 0
    assert "NOT_SET_ANYWHERE is not set" in done.body["skipped"]["box"]


def test_schema_is_json_schema_and_needs_no_file(tmp_path: Path) -> None:
    done = run(tmp_path, "schema")

    assert done.body["$schema"].startswith("https://json-schema.org/")


# -- looking -----------------------------------------------------------------------------------------------------------


def test_list_shows_signatures(served: Path) -> None:
    lines = run(served, "list", "--server", "box").out.splitlines()

    assert "box__fail() - The tool fail." in lines
    assert any(line.startswith("box__kinds(text?: string, number?: number") for line in lines)


def test_list_in_json_is_the_body_of_rest(served: Path) -> None:
    tools = run(served, "list", "--json").body["tools"]

    names = {tool["name"]: (tool["server"], tool["tool"]) for tool in tools}
    assert names["box__fail"] == ("box", "fail")
    assert names["sysinfo"] == (None, "sysinfo")


def test_list_with_schema_is_json_without_asking(served: Path) -> None:
    assert "inputSchema" in run(served, "list", "--schema").body["tools"][0]


@pytest.mark.parametrize("kind", ["tools", "resources", "prompts", "servers"])
def test_list_has_every_kind(served: Path, kind: str) -> None:
    assert list(run(served, "list", kind, "--json").body) == [kind]


def test_list_of_an_unknown_server_exits_with_66(served: Path) -> None:
    done = run(served, "list", "--server", "bx")

    assert (done.status, done.err) == (66, "error[unknown_name]: Unknown server: bx; did you mean 'box'?\n")


def test_inspect_shows_one_server(served: Path) -> None:
    done = run(served, "inspect", "box")

    assert done.out.startswith("box: ready, stdio, revision 2025-11-25\n")
    assert "  box__fail() - The tool fail." in done.out


def test_inspect_in_json_is_the_body_of_rest(served: Path) -> None:
    assert run(served, "inspect", "box", "--json").body["server_info"]["name"] == "tool-box"


def test_inspect_of_a_mistyped_server_names_the_nearest(served: Path) -> None:
    assert run(served, "inspect", "bx").err == "error[unknown_name]: Unknown server: bx; did you mean 'box'?\n"


@pytest.mark.parametrize("name", ["nobody", "../tools", "a/b", "ü ö"])
def test_inspect_of_an_unknown_server_exits_with_66(served: Path, name: str) -> None:
    done = run(served, "inspect", name)

    assert (done.status, done.err) == (66, f"error[unknown_name]: Unknown server: {name}\n")


def test_status_of_the_running_gateway(served: Path) -> None:
    done = run(served, "status")

    assert done.status == 0
    assert "● box  ready" in done.out


def test_status_in_json_is_the_body_of_rest(served: Path) -> None:
    body = run(served, "status", "--json").body

    assert body["config"] == {
        "file": str(served / "gateway.yaml"),
        "error": None,
        "notes": [],
        "restart_needed": [],
    }


# -- in this process ---------------------------------------------------------------------------------------------------


def test_without_a_running_gateway_commands_run_one_themselves(tmp_path: Path) -> None:
    write_config(tmp_path, ONE_SERVER)
    done = run(tmp_path, "call", "box__kinds", "count=3")

    assert (done.status, done.out) == (0, '{"count": 3}\n')


def test_an_error_of_the_upstream_is_told_the_same_way_in_process(tmp_path: Path) -> None:
    write_config(tmp_path, {"mcpServers": {"box": tool_box("refuse")}})
    done = run(tmp_path, "call", "box__refuse")

    assert (done.status, done.err) == (5, "error[upstream_error]: not \\x1b[31mtoday\n")


def test_a_program_that_is_not_there_exits_with_4(tmp_path: Path) -> None:
    write_config(tmp_path, {"mcpServers": {"box": tool_box("kinds")}})
    assert run(tmp_path, "list").status == 0
    write_config(tmp_path, {"mcpServers": {"box": tool_box("kinds"), "gone": {"command": "no-such-program-at-all"}}})
    done = run(tmp_path, "list", "servers")

    assert done.status == 0
    assert "▲ gone" in done.out
    assert "'no-such-program-at-all' is not on PATH" in done.err


def test_a_hanging_server_does_not_delay_a_call_to_another(tmp_path: Path) -> None:
    hangs = {"command": "sleep", "args": ["60"]}
    write_config(tmp_path, {"mcpServers": {"hangs": hangs, "box": tool_box("kinds")}})
    done = run(tmp_path, "call", "box__kinds", "count=3", "--timeout", "20")

    assert (done.status, done.out) == (0, '{"count": 3}\n')


def test_status_without_a_running_gateway_exits_with_69(tmp_path: Path) -> None:
    write_config(tmp_path, ONE_SERVER)
    done = run(tmp_path, "status", "--json")

    assert (done.status, done.out) == (69, "")
    assert done.error["code"] == "not_running"


def test_a_state_folder_that_cannot_be_used_is_no_reason_to_fail(tmp_path: Path) -> None:
    write_config(tmp_path, ONE_SERVER)
    (tmp_path / "home").write_text("a file where the state folder should be")
    done = run(tmp_path, "list")

    assert done.status == 0, done.err
    assert "box__fail" in done.out


def test_a_busy_port_exits_with_69(tmp_path: Path) -> None:
    write_config(tmp_path, ONE_SERVER)
    with socket.create_server(("127.0.0.1", 0)) as other:
        done = run(tmp_path, "serve", "--port", str(other.getsockname()[1]))

    assert done.status == 69
    assert done.err.startswith("error[port_busy]: cannot listen on 127.0.0.1:")


def test_an_open_address_without_keys_exits_with_78(tmp_path: Path) -> None:
    write_config(tmp_path, ONE_SERVER)
    done = run(tmp_path, "serve", "--host", "0.0.0.0", "--port", "0")

    assert done.status == 78


# -- the terminal ------------------------------------------------------------------------------------------------------


def test_a_reader_that_goes_away_is_no_fault(served: Path) -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    with os.fdopen(write_end, "wb") as nobody:
        done = subprocess.run(
            command("schema"), cwd=served, env=environment(served), stdout=nobody, stderr=subprocess.PIPE, timeout=60
        )

    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.parametrize("env", [{}, {"NO_COLOR": "1"}, {"FORCE_COLOR": "1"}])
def test_nothing_is_coloured(served: Path, env: dict[str, str]) -> None:
    assert "\x1b" not in run(served, "status", **env).out


def test_a_terminal_without_the_letters_still_gets_the_rest(served: Path) -> None:
    done = run(served, "status", PYTHONIOENCODING="latin-1")

    assert done.status == 0
    assert "\\u25cf box  ready" in done.out


def test_an_answer_and_nothing_else_goes_to_standard_output(served: Path) -> None:
    done: Done = run(served, "--verbose", "call", "box__kinds", "count=1")

    assert json.loads(done.out) == {"count": 1}


@pytest.mark.parametrize("name", ["a b", "x/y", "日本"])
def test_a_server_of_any_name_is_found_without_a_running_gateway(tmp_path: Path, name: str) -> None:
    write_config(tmp_path, {"mcpServers": {name: tool_box("kinds")}})

    assert run(tmp_path, "inspect", name).out.startswith(f"{name}: ready")
    assert [tool["server"] for tool in run(tmp_path, "list", "--server", name, "--json").body["tools"]] == [name]


def test_looking_at_a_server_that_cannot_be_reached_exits_with_4(tmp_path: Path) -> None:
    write_config(tmp_path, {"mcpServers": {"gone": {"command": "no-such-program"}}})
    done = run(tmp_path, "inspect", "gone")

    assert (done.status, "no-such-program" in done.out) == (4, True)


def test_one_server_is_looked_at_without_waiting_for_another(tmp_path: Path) -> None:
    silent = {"command": sys.executable, "args": ["-c", "import sys; sys.stdin.read()"], "startup_timeout": 600}
    write_config(tmp_path, {"mcpServers": {"box": tool_box("kinds"), "silent": silent}})
    one = run(tmp_path, "list", "--server", "box")
    every = run(tmp_path, "list")

    assert (one.status, one.err) == (0, "")
    assert "note: silent has not answered yet" in every.err
    assert "box__kinds" in every.out
