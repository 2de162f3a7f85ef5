"""`keys` as a person uses it, and what a gateway makes of the keys."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from mcp_gateway.security.keys import hashed

from tests.cli.command import run, tool_box
from tests.gateway import Gateway, write_config


def test_a_key_is_shown_once(tmp_path: Path) -> None:
    made = run(tmp_path, "keys", "create", "ci", "--scope", "read", "--tool", "time__*", "--expires", "30d")
    listed = run(tmp_path, "keys", "list", "--json")
    told = run(tmp_path, "keys", "list")

    key = made.out.strip()
    assert (made.status, len(made.out.splitlines())) == (0, 1)
    assert key not in listed.out + told.out + "".join(
        file.read_text() for file in (tmp_path / "home").rglob("*") if file.is_file()
    )
    (row,) = listed.body["keys"]
    assert (row["name"], row["scopes"], row["tools"]["allow"], row["expired"]) == ("ci", ["read"], ["time__*"], False)


def test_the_list_shows_what_a_key_is_kept_from(tmp_path: Path) -> None:
    bounds = ("--server", "time", "--deny-tool", "*__delete*", "--profile", "work")
    run(tmp_path, "keys", "create", "ci", "--scope", "read", *bounds)
    run(tmp_path, "keys", "create", "all")

    assert run(tmp_path, "keys", "list").out.splitlines() == [
        "ci  read  no end  servers time  not tools *__delete*  profile work",
        "all  call, read  no end",
    ]


def test_the_first_and_the_last_key_say_what_they_change(tmp_path: Path) -> None:
    made = [run(tmp_path, "keys", "create", name).err for name in ("a", "b")]
    ended = [run(tmp_path, "keys", "revoke", name).err for name in ("a", "b")]

    assert ["first key" in text for text in made] == [True, False]
    assert ["last key" in text for text in ended] == [False, True]


def test_programs_get_the_key_with_what_it_may(tmp_path: Path) -> None:
    body = run(tmp_path, "keys", "create", "ci", "--json").body

    assert (body["name"], body["scopes"], body["expires"]) == ("ci", ["call", "read"], None)
    assert body["key"] not in body["hash"]


def test_a_signing_secret_is_shown_once_and_kept_sealed(tmp_path: Path) -> None:
    made = run(tmp_path, "keys", "create", "ci", "--signing")
    key, secret = made.out.split()
    files = [file.read_bytes() for file in (tmp_path / "home").rglob("*") if file.is_file()]

    assert key != secret
    assert not any(secret.encode() in content or key.encode() in content for content in files)
    assert run(tmp_path, "keys", "revoke", "ci").status == 0
    assert json.loads((tmp_path / "home" / "signing.json").read_text())["secrets"] == {}


def test_a_signing_secret_makes_no_second_key_where_the_first_is_missing(tmp_path: Path) -> None:
    run(tmp_path, "secrets", "set", "token", stdin="value", MCP_GATEWAY_SECRET_KEY="A" * 43 + "=")
    refused = run(tmp_path, "keys", "create", "ci", "--signing")

    assert refused.status == 77
    assert "no key that is here opens the secret 'token'; add the key that sealed it" in refused.err
    assert not (tmp_path / "home" / "secret.key").exists()
    assert run(tmp_path, "keys", "list", "--json").body == {"keys": []}


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (("create", "ci"), 65, "already"),
        (("create", "x", "--scope", "everything"), 2, "everything"),
        (("create", "x", "--rate", "fast"), 65, "--rate: fast is not a rate"),
        (("create", "x", "--expires", "soon"), 65, "--expires: soon is not a duration"),
        (("create", "x", "--expires", "2020-01-01"), 65, "is over already"),
        (("create", "x\n"), 65, "printable"),
        (("revoke", "nobody"), 66, "Unknown key: nobody"),
    ],
)
def test_mistakes_are_told(tmp_path: Path, arguments: tuple[str, ...], status: int, says: str) -> None:
    run(tmp_path, "keys", "create", "ci")
    done = run(tmp_path, "keys", *arguments)

    assert (done.status, done.out) == (status, "")
    assert says in done.err


def test_a_state_folder_that_cannot_be_made_has_its_own_status(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = run(tmp_path, "keys", "create", "ci", MCP_GATEWAY_HOME=str(tmp_path / "file" / "home"))

    assert (done.status, done.out) == (73, "")


def test_a_running_gateway_takes_keys_at_once_and_its_own_command_line_without(tmp_path: Path) -> None:
    with Gateway(tmp_path, {"mcpServers": {"box": tool_box("kinds")}}) as gateway:
        gateway.wait_for_servers()
        key = run(tmp_path, "keys", "create", "ci").out.strip()
        assert _status(gateway.origin, None) == 401
        assert _status(gateway.origin, key) == 200
        assert run(tmp_path, "list", "--json").status == 0
        assert run(tmp_path, "keys", "revoke", "ci").status == 0
        assert _status(gateway.origin, None) == 401  # whoever had the last key must not come in without one


def test_an_address_that_others_reach_needs_a_key(tmp_path: Path) -> None:
    write_config(tmp_path, {"mcpServers": {}})
    without = run(tmp_path, "serve", "--host", "0.0.0.0", "--port", "0")
    assert (without.status, "keys create" in without.err) == (78, True)

    run(tmp_path, "keys", "create", "ci")
    assert run(tmp_path, "serve", "--host", "192.0.2.1", "--port", "0").status == 69  # allowed, but not our address
    write_config(tmp_path, {"mcpServers": {}, "auth": {"required": False}})
    assert run(tmp_path, "serve", "--host", "192.0.2.1", "--port", "0").status == 78


def test_default_keys_are_refused(tmp_path: Path) -> None:
    write_config(tmp_path, {"mcpServers": {}, "auth": {"keys": [{"name": "ci", "hash": hashed("changeme")}]}})
    done = run(tmp_path, "serve", "--port", "0")

    assert (done.status, "auth.keys.ci.hash" in done.err) == (78, True)


@pytest.mark.parametrize("shared", ["gateway.yaml", "."])
def test_a_file_that_everybody_may_change_is_not_served(tmp_path: Path, shared: str) -> None:
    folder = tmp_path / "folder"
    write_config(folder, {"mcpServers": {}})
    (folder / shared).chmod(0o777)
    done = run(folder, "serve", "--port", "0", MCP_GATEWAY_HOME=str(tmp_path / "home"))

    assert (done.status, "chmod o-w" in done.err) == (78, True)


def _status(origin: str, key: str | None) -> int:
    request = urllib.request.Request(f"{origin}/api/v1/tools", headers={"X-API-Key": key} if key else {})
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            assert json.load(answer)["tools"]
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        return refused.code
