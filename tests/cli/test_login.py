"""`login` and `logout`, beside a running gateway that has to notice."""

from __future__ import annotations

import json
import re
import subprocess
import time
import urllib.request
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal

from tests.cli.command import ENDS_WITHIN_S, Done, command, run, tool_box
from tests.fakes.everything import Everything
from tests.fakes.login_server import Guarded, LoginServer, approve, guarded, login_server
from tests.gateway import READY_S, Gateway, environment, write_config

_PAGE = re.compile(r"log in here: (\S+)")


@dataclass
class FarEnd:
    """An issuer and a server, in a thread of their own."""

    issuer: LoginServer
    server: Guarded
    portal: BlockingPortal

    def config(self, **auth: Any) -> dict[str, Any]:
        entry = {"url": self.server.url, "auth": auth or "oauth", "era": "legacy"}
        return {"mcpServers": {"files": entry, "box": tool_box("kinds")}}

    def log_in(self, folder: Path, *arguments: str) -> Done:
        """`mcp-gateway login files`, and a person who approves."""
        argv = command("login", "files", *arguments)
        with subprocess.Popen(
            argv, cwd=folder, env=environment(folder), stdin=subprocess.DEVNULL, stdout=-1, stderr=-1, text=True
        ) as child:
            assert child.stderr is not None
            said = child.stderr.readline()
            page = _PAGE.search(said)
            if page is not None:
                self.portal.call(approve, page[1])
            out, err = child.communicate(timeout=ENDS_WITHIN_S)
        return Done(child.returncode, out, said + err)


@pytest.fixture
def far_end() -> Generator[FarEnd, None, None]:
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(login_server()) as issuer,
        portal.wrap_async_context_manager(guarded(issuer, Everything().server())) as server,
    ):
        yield FarEnd(issuer, server, portal)


def server(gateway: Gateway) -> dict[str, Any]:
    found: dict[str, Any] = gateway.get_json("/api/v1/servers/files")
    return found


def wait_for(gateway: Gateway, state: str) -> dict[str, Any]:
    deadline_monotonic_s = time.monotonic() + READY_S
    while (found := server(gateway))["state"] != state:
        assert time.monotonic() < deadline_monotonic_s, found
        time.sleep(0.05)  # a state is asked for here, and announces nothing
    return found


def test_a_running_gateway_uses_a_login_at_once_and_parks_the_server_at_its_end(
    far_end: FarEnd, tmp_path: Path
) -> None:
    with Gateway(tmp_path, far_end.config()) as gateway:
        parked = wait_for(gateway, "needs_auth")
        assert parked["reason"] == "upstream 'files' wants a login; run: mcp-gateway login files"

        done = far_end.log_in(tmp_path)
        assert (done.status, done.out) == (0, f"logged in to files at {far_end.issuer.url}\n")
        assert wait_for(gateway, "ready")["reason"] is None

        far_end.issuer.revoke()
        forgotten = run(tmp_path, "logout", "files")
        assert (forgotten.status, forgotten.out) == (0, "forgot 1 login\n")
        wait_for(gateway, "needs_auth")
        assert not any(secret in gateway.log + done.out + done.err for secret in far_end.issuer.secrets)


def test_without_a_gateway_a_login_waits_for_the_next_start(far_end: FarEnd, tmp_path: Path) -> None:
    write_config(tmp_path, far_end.config())
    done = far_end.log_in(tmp_path, "--json")
    assert done.body["renews"] is True
    assert done.body["scope"] == "use"
    listed = run(tmp_path, "list", "servers", "--json").body["servers"]
    assert [item["state"] for item in listed if item["name"] == "files"] == ["ready"]


def test_a_client_of_the_configuration_logs_in_without_a_person(far_end: FarEnd, tmp_path: Path) -> None:
    far_end.issuer.know("robot", "s3cret")
    write_config(tmp_path, far_end.config(client_id="robot", client_secret="s3cret", client_credentials=True))
    done = run(tmp_path, "login", "files")
    assert done.status == 0, done.err
    assert far_end.issuer.grants == ["client_credentials"]


def test_a_refused_login_exits_with_3(far_end: FarEnd, tmp_path: Path) -> None:
    far_end.issuer.deny = "access_denied"
    write_config(tmp_path, far_end.config())
    done = far_end.log_in(tmp_path)
    assert done.status == 3
    assert "error[upstream_auth]: the authorization server of upstream 'files' refused the login" in done.err


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["login", "fils"], 66, "did you mean 'files'"),
        (["login", "files", "--principal", "key:ann"], 65, "has one login for everybody"),
        (["logout", "--all", "--principal", "key:ann"], 2, "leave --principal out"),
        (["login", "box"], 65, "the server 'box' wants no login: its entry has no `auth: oauth`"),
        (["logout", "files"], 66, "Unknown login: files"),
        (["logout"], 2, "name a server, or give --all"),
        (["logout", "--all"], 0, ""),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_is_not_there_is_said(tmp_path: Path, arguments: list[str], status: int, message: str) -> None:
    files = {"url": "http://127.0.0.1:9/mcp", "auth": "oauth"}
    write_config(tmp_path, {"mcpServers": {"files": files, "box": tool_box("kinds")}})
    done = run(tmp_path, *arguments)
    assert (done.status, message in done.err) == (status, True), done.err


def test_an_operator_logs_in_for_a_key_and_revoking_it_forgets_the_login(far_end: FarEnd, tmp_path: Path) -> None:
    config = far_end.config()
    config["mcpServers"]["files"]["isolation"] = "user"
    key = run(tmp_path, "keys", "create", "ann").out.strip()
    write_config(tmp_path, config)
    assert far_end.log_in(tmp_path).status == 0
    done = far_end.log_in(tmp_path, "--principal", "key:ann")
    assert done.out == f"logged in to files at {far_end.issuer.url} for key:ann\n"
    with Gateway(tmp_path, config) as gateway:
        call = urllib.request.Request(
            f"{gateway.origin}/api/v1/tools/files__echo/call",
            data=b'{"arguments": {"text": "hi"}}',
            headers={"X-API-Key": key, "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(call, timeout=READY_S) as response:
            answer = json.load(response)
        assert answer["content"][0]["text"] == "hi"
    assert run(tmp_path, "keys", "revoke", "ann").status == 0
    again = run(tmp_path, "logout", "files", "--principal", "key:ann")
    assert (again.status, "Unknown login: files" in again.err) == (66, True)
    assert run(tmp_path, "logout", "files").status == 0
