"""`secrets`: typed or piped in, never shown again, and there for the gateway."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from mcp_gateway.security.vault import Vault
from mcp_gateway.security.vault_key import new_key

from tests.cli.command import ENDS_WITHIN_S, command, run, tool_box
from tests.cli.test_start import imported
from tests.gateway import Gateway, environment, write_config

CANARY = "canary-7731-xyzzy"


def value_of(folder: Path, name: str) -> str:
    return Vault(folder / "home", {}).get(name)


def server(value: str) -> dict[str, Any]:
    """A configuration whose server `box` says its variable SECRET on standard error."""
    box = tool_box("kinds", env={"SECRET": value})
    return {"mcpServers": {"box": box}, "observability": {"log": {"level": "debug"}}}


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_a_piped_value_is_stored_without_the_end_of_its_line(tmp_path: Path, end: str) -> None:
    done = run(tmp_path, "secrets", "set", "token", stdin=CANARY + end)

    assert (done.status, done.out, done.err) == (0, "stored; write ${secret:token} in the configuration file\n", "")
    assert value_of(tmp_path, "token") == CANARY


def test_a_value_of_several_lines_is_stored_as_it_is(tmp_path: Path) -> None:
    run(tmp_path, "secrets", "set", "pem", stdin="BEGIN\nabc\nEND\n")

    assert value_of(tmp_path, "pem") == "BEGIN\nabc\nEND"


def test_a_typed_value_is_not_shown(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    try:
        with subprocess.Popen(
            command("secrets", "set", "token"),
            cwd=tmp_path,
            env=environment(tmp_path),
            stdin=theirs,
            stdout=subprocess.PIPE,
            stderr=theirs,
            start_new_session=True,
        ) as typing:
            seen = b""
            while b"(not shown): " not in seen:
                seen += os.read(ours, 1000)
            os.write(ours, CANARY.encode() + b"\n")
            out, _ = typing.communicate(timeout=ENDS_WITHIN_S)
        os.set_blocking(ours, False)
        seen += os.read(ours, 1000)
    finally:
        os.close(ours)
        os.close(theirs)

    assert (typing.returncode, out) == (0, b"stored; write ${secret:token} in the configuration file\n")
    assert CANARY.encode() not in seen
    assert value_of(tmp_path, "token") == CANARY


def test_a_value_on_the_command_line_is_refused_and_not_repeated(tmp_path: Path) -> None:
    done = run(tmp_path, "secrets", "set", "token", CANARY)

    assert done.status == 2
    assert "leave it out and type or pipe it" in done.err
    assert CANARY not in done.out + done.err
    assert not (tmp_path / "home").exists()


def test_a_list_has_names_and_times_only(tmp_path: Path) -> None:
    for name in ("b", "a"):
        run(tmp_path, "secrets", "set", name, stdin=CANARY)
    told, as_json = run(tmp_path, "secrets", "list"), run(tmp_path, "secrets", "list", "--json")

    assert [line.split("\t")[0] for line in told.out.splitlines()] == ["a", "b"]
    assert [row["name"] for row in as_json.body["secrets"]] == ["a", "b"]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:]{8}\+00:00", row["set_at"]) for row in as_json.body["secrets"])
    assert CANARY not in told.out + as_json.out


def test_an_empty_list_is_told(tmp_path: Path) -> None:
    told, as_json = run(tmp_path, "secrets", "list"), run(tmp_path, "secrets", "list", "--json")

    assert (told.status, told.out) == (0, "")
    assert "mcp-gateway secrets set NAME" in told.err
    assert as_json.body == {"secrets": []}


def test_a_removed_secret_is_gone(tmp_path: Path) -> None:
    run(tmp_path, "secrets", "set", "token", stdin=CANARY)
    removed, again = run(tmp_path, "secrets", "rm", "token"), run(tmp_path, "secrets", "rm", "token", "--json")

    assert (removed.status, removed.out) == (0, "removed token\n")
    assert (again.status, again.error["code"]) == (66, "unknown_name")


def test_answers_for_programs_are_json(tmp_path: Path) -> None:
    set_, rotated, removed = (
        run(tmp_path, "secrets", *arguments, "--json", stdin=CANARY)
        for arguments in (("set", "token"), ("rotate",), ("rm", "token"))
    )

    assert (set_.body, removed.body) == ({"name": "token"}, {"name": "token"})
    assert rotated.body == {"secrets": 1, "key": "secret.key of the state folder", "not_needed": []}


def test_a_rotation_tells_what_is_not_needed_any_more(tmp_path: Path) -> None:
    run(tmp_path, "secrets", "set", "token", stdin=CANARY)
    key = new_key().text
    done = run(tmp_path, "secrets", "rotate", MCP_GATEWAY_SECRET_KEY=key)

    assert done.out == "1 secret encrypted anew; key: the variable MCP_GATEWAY_SECRET_KEY\n"
    assert done.err == "not needed any more: secret.key of the state folder\n"


def test_a_rotation_without_a_key_says_so(tmp_path: Path) -> None:
    done = run(tmp_path, "secrets", "rotate")

    assert (done.status, done.out) == (0, "")
    assert "there is no key yet" in done.err


@pytest.mark.parametrize(
    ("arguments", "stdin", "status", "code"),
    [
        (("set", "a/b"), CANARY, 65, "invalid_params"),
        (("set", "a"), "", 65, "invalid_params"),
        (("set", "a"), "\udcff", 65, "invalid_params"),
        (("rm", "a"), "", 66, "unknown_name"),
    ],
)
def test_what_cannot_be_done_is_told(
    tmp_path: Path, arguments: tuple[str, ...], stdin: str, status: int, code: str
) -> None:
    done = subprocess.run(
        command("secrets", *arguments, "--json"),
        cwd=tmp_path,
        env=environment(tmp_path),
        input=stdin.encode(errors="surrogateescape"),
        capture_output=True,
        timeout=ENDS_WITHIN_S,
    )

    assert done.returncode == status
    assert f'"code": "{code}"'.encode() in done.stderr


def test_a_key_that_others_can_read_is_no_permission(tmp_path: Path) -> None:
    run(tmp_path, "secrets", "set", "token", stdin=CANARY)
    (tmp_path / "home" / "secret.key").chmod(0o644)
    done = run(tmp_path, "secrets", "rotate")

    assert done.status == 77
    assert "error[secret_key_refused]: secret.key of the state folder is open to others (mode 644)" in done.err


def test_a_state_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file")
    done = run(tmp_path, "secrets", "set", "token", stdin=CANARY)

    assert done.status == 73
    assert "error[cannot_create]" in done.err


def test_a_damaged_store_is_bad_data(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "secrets.json").write_text("{")

    assert run(tmp_path, "secrets", "list").status == 65


def test_a_running_gateway_takes_a_secret_as_soon_as_it_is_set_and_shows_it_nowhere(tmp_path: Path) -> None:
    with Gateway(tmp_path, server("${secret:token}")) as gateway:
        before = run(tmp_path, "list", "servers").out
        run(tmp_path, "secrets", "set", "token", stdin=CANARY)
        gateway.wait_for_servers()
        shown = [run(tmp_path, *asked, "--json").out for asked in (("status",), ("inspect", "box"))]
        log = gateway.log

    assert "mcp-gateway secrets set token" in before
    assert "starting with [redacted]" in log
    assert [text for text in (log, *shown) if CANARY in text] == []
    assert [file for file in tmp_path.rglob("*") if file.is_file() and CANARY.encode() in file.read_bytes()] == []


def test_a_file_without_stored_secrets_loads_no_cryptography(tmp_path: Path) -> None:
    write_config(tmp_path, server("${VAR:-x}"))
    modules = imported(tmp_path, "validate")

    assert modules.isdisjoint({"cryptography", "keyring"})


def test_a_stored_secret_loads_no_key_store_where_a_file_has_the_key(tmp_path: Path) -> None:
    run(tmp_path, "secrets", "set", "token", stdin=CANARY)
    write_config(tmp_path, server("${secret:token}"))
    modules = imported(tmp_path, "validate")

    assert "cryptography" in modules
    assert "keyring" not in modules


def test_the_key_reaches_no_child(tmp_path: Path) -> None:
    key = new_key().text
    says = "import os, sys; sys.stderr.write(repr(dict(os.environ)))"
    write_config(tmp_path, {"mcpServers": {"says": {"command": sys.executable, "args": ["-c", says]}}})
    done = run(tmp_path, "-v", "inspect", "says", MCP_GATEWAY_SECRET_KEY=key)

    assert "PATH" in done.err
    assert key not in done.err
