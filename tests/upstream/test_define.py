"""From a configured server to a definition: what identifies it, and what a change of it costs."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NoReturn

import pytest
from mcp_gateway.catalog.vetting import DEFAULT_CAPS, Caps
from mcp_gateway.config import HttpServer, Server, SseServer, StdioServer
from mcp_gateway.upstream.define import DISABLED_IN_FILE, define, login_settings
from mcp_gateway.upstream.definition import Definition, Isolation
from mcp_gateway.upstream.dispatch.http import HttpDispatcher
from mcp_gateway.upstream.dispatch.sse import SseDispatcher
from mcp_gateway.upstream.dispatch.stdio import StdioDispatcher
from mcp_gateway.upstream.lifecycle import RestartPolicy
from mcp_gateway.upstream.oauth.account import LoginSettings
from mcp_gateway.upstream.session import Era
from pydantic import ValidationError

from tests.upstream.dispatch.pipes import unheard


def no_login(server: str, url: str, settings: LoginSettings, principal: str | None) -> NoReturn:
    raise AssertionError("no server of these tests wants a login")


async def no_sandbox() -> str:
    return "this test has no sandbox"


SECRET = "hunter2-and-more"
CHILD: dict[str, Any] = {"name": "up", "command": "prog", "args": ["-v"], "env": {"TOKEN": SECRET}}
REMOTE: dict[str, Any] = {"name": "up", "url": "http://127.0.0.1:9/mcp", "headers": {"Authorization": SECRET}}


def child(**changes: Any) -> StdioServer:
    return StdioServer(**{**CHILD, **changes})


def remote(**changes: Any) -> HttpServer:
    return HttpServer(**{**REMOTE, **changes})


def defining(
    server: Server, path: str = "/nowhere", *, max_message_bytes: int = 1000, caps: Caps = DEFAULT_CAPS
) -> Definition:
    return define(
        "up",
        server,
        environ={"PATH": path},
        max_message_bytes=max_message_bytes,
        choose=no_sandbox,
        authorize=no_login,
        caps=caps,
    )


def test_a_login_is_as_the_entry_says() -> None:
    assert login_settings(child()) is None
    assert login_settings(remote()) is None
    assert login_settings(remote(headers={}, auth="oauth")) == LoginSettings()
    entry = {
        "client_id": "me",
        "client_secret": SECRET,
        "issuer": "https://i.example",
        "scopes": ["a", "b"],
        "redirect_port": 7,
        "client_credentials": True,
    }
    wanted = LoginSettings("me", SECRET, "https://i.example", ("a", "b"), 7, client_credentials=True)
    assert login_settings(remote(headers={}, auth=entry)) == wanted
    assert SECRET not in repr(wanted)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"auth": "oauth"}, "has both auth and an Authorization header"),
        ({"headers": {}, "auth": {"client_secret": SECRET}}, "has a client_secret but no client_id"),
        ({"headers": {}, "auth": {"client_id": "me", "client_credentials": True}}, "has client_credentials but no"),
    ],
)
def test_a_login_that_cannot_be_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        remote(**changes)


@pytest.mark.parametrize(
    "changes", [{"command": "other"}, {"args": ["-q"]}, {"env": {"TOKEN": "x"}}, {"cwd": "/srv"}], ids=str
)
def test_the_fingerprint_of_a_child_changes_with_what_is_run(changes: dict[str, Any]) -> None:
    assert defining(child(**changes)).fingerprint != defining(child()).fingerprint


@pytest.mark.parametrize("changes", [{"url": "http://127.0.0.1:9/other"}, {"headers": {"Authorization": "x"}}], ids=str)
def test_the_fingerprint_of_an_address_changes_with_whom_we_talk_to_as_whom(changes: dict[str, Any]) -> None:
    assert defining(remote(**changes)).fingerprint != defining(remote()).fingerprint


def test_the_fingerprint_changes_when_the_program_is_updated(tmp_path: Path) -> None:
    program = tmp_path / "prog"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    before = defining(child(), str(tmp_path)).fingerprint
    assert defining(child(), str(tmp_path)).fingerprint == before
    program.write_text("#!/bin/sh\nexit\n")
    assert defining(child(), str(tmp_path)).fingerprint != before


def test_a_program_of_the_same_name_in_our_own_folder_is_no_concern(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = defining(child()).fingerprint
    (tmp_path / "prog").write_text("#!/bin/sh\n")
    monkeypatch.chdir(tmp_path)
    assert defining(child()).fingerprint == before


@pytest.mark.parametrize(
    "changes",
    [
        {"timeout": 3.0},
        {"restart": {"max": 1}},
        {"isolation": "user"},
        {"tools": {"timeout": {"a": 1.0}}},
        {"lazy": True},
    ],
    ids=str,
)
def test_how_a_connection_is_kept_changes_the_settings_and_not_the_fingerprint(changes: dict[str, Any]) -> None:
    before, after = defining(child()), defining(child(**changes))
    assert before.settings != after.settings
    assert before.fingerprint == after.fingerprint


def test_changed_caps_change_the_settings() -> None:
    assert defining(child()).settings != defining(child(), caps=Caps(tools=3)).settings
    assert defining(child(), caps=Caps(tools=3)).rules.caps.tools == 3


def test_a_changed_message_limit_changes_the_settings() -> None:
    assert defining(child()).settings != defining(child(), max_message_bytes=2000).settings


@pytest.mark.parametrize("changes", [{"prefix": "p"}, {"tools": {"include": ["a"]}}, {"trust": "off"}], ids=str)
def test_how_an_offer_is_shown_needs_no_new_connection(changes: dict[str, Any]) -> None:
    assert defining(child()).settings == defining(child(**changes)).settings


def test_equal_entries_are_equal_definitions() -> None:
    first, second = defining(remote()), defining(remote())
    assert (first.settings, first.fingerprint, first.rules) == (second.settings, second.fingerprint, second.rules)


@pytest.mark.parametrize("server", [child(), remote(proxy=f"http://u:{SECRET}@127.0.0.1:1")], ids=["child", "remote"])
def test_secrets_are_in_no_representation(server: Server) -> None:
    definition = defining(server)
    assert SECRET not in repr(definition)
    assert SECRET not in repr(definition.dial(unheard))


@pytest.mark.parametrize(
    ("server", "kind", "fallback", "transport"),
    [
        (child(), StdioDispatcher, None, "stdio"),
        (remote(), HttpDispatcher, SseDispatcher, "http"),
        (SseServer(**REMOTE), SseDispatcher, None, "sse"),
    ],
    ids=["stdio", "http", "sse"],
)
def test_each_kind_of_server_has_its_wire(server: Server, kind: type, fallback: type | None, transport: str) -> None:
    definition = defining(server)
    assert isinstance(definition.dial(unheard), kind)
    assert definition.transport == transport
    if fallback is None:
        assert definition.fallback is None
    else:
        assert definition.fallback is not None
        assert isinstance(definition.fallback(unheard), fallback)


def test_http_sse_is_legacy_unless_the_file_says_otherwise() -> None:
    assert defining(SseServer(**REMOTE)).rules.era is Era.LEGACY
    assert defining(SseServer(**REMOTE, era="modern")).rules.era is Era.MODERN
    assert defining(remote()).rules.era is Era.AUTO


def test_the_rules_are_those_of_the_file() -> None:
    entry = child(
        timeout=5, startup_timeout=6, idle_stop=7, restart={"max": 2, "backoff": [1, 8]}, concurrency=3, queue=4,
        tools={"timeout": {"slow": 90.0}}, timeout_resets_on_progress=True, isolation="session",
    )  # fmt: skip
    definition = defining(entry)
    rules = definition.rules
    assert (rules.timeout_s, rules.startup_timeout_s, rules.idle_stop_s) == (5.0, 6.0, 7.0)
    assert rules.restart == RestartPolicy(2, 1.0, 8.0)
    assert (rules.concurrency, rules.queue, rules.tool_timeouts_s) == (3, 4, {"slow": 90.0})
    assert rules.timeout_resets_on_progress
    assert definition.isolation is Isolation.SESSION


def test_a_server_that_is_off_says_why() -> None:
    assert defining(child()).disabled is None
    assert defining(child(disabled=True)).disabled == DISABLED_IN_FILE
    skipped = define(
        "up",
        child(),
        environ={},
        max_message_bytes=1,
        choose=no_sandbox,
        authorize=no_login,
        skipped="TOKEN is not set",
    )
    assert skipped.disabled == "TOKEN is not set"
