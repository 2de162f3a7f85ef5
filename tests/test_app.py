"""The gateway over its life: its file changes, its state is kept, its secrets stay in."""

from __future__ import annotations

import base64
import json
import os
import signal
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.cli.command import run, tool_box
from tests.gateway import READY_S, Gateway, write_config

_POLL_S = 0.05

QUICK = {"debounce_ms": 50}


def config(**servers: Any) -> dict[str, Any]:
    return {"mcpServers": servers, "reload": QUICK}


def wait_until(gateway: Gateway, reached: Callable[[], bool]) -> None:
    """Ask again until it is so: what happens inside another process announces itself to nobody."""
    deadline_monotonic_s = time.monotonic() + READY_S
    while not reached():
        assert time.monotonic() < deadline_monotonic_s, f"not reached:\n{gateway.log}"
        time.sleep(_POLL_S)


def status(gateway: Gateway) -> dict[str, Any]:
    body: dict[str, Any] = gateway.get_json("/api/v1/status")
    return body


def tools(gateway: Gateway) -> list[str]:
    return [tool["name"] for tool in gateway.get_json("/api/v1/tools")["tools"] if tool["server"] is not None]


def since(gateway: Gateway) -> dict[str, tuple[str, str]]:
    return {server["name"]: (server["state"], server["since"]) for server in status(gateway)["servers"]}


def call(gateway: Gateway, tool: str, **arguments: Any) -> dict[str, Any]:
    body = json.dumps({"arguments": arguments}).encode()
    request = urllib.request.Request(
        f"{gateway.origin}/api/v1/tools/{tool}/call", body, {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=READY_S) as response:
            result: dict[str, Any] = json.load(response)
    except urllib.error.HTTPError as refused:
        with refused:
            result = json.load(refused)
    return result


class Calling(threading.Thread):
    """A call under way."""

    def __init__(self, gateway: Gateway, tool: str, seconds: float) -> None:
        super().__init__()
        self.result: dict[str, Any] = {}
        self._gateway, self._tool, self._seconds = gateway, tool, seconds
        self.start()
        wait_until(gateway, lambda: any(server["in_flight"] for server in status(gateway)["servers"]))

    def run(self) -> None:
        self.result = call(self._gateway, self._tool, seconds=self._seconds)


# -- the file changes --------------------------------------------------------------------------------------------------


def test_a_changed_file_is_in_force_at_once(tmp_path: Path) -> None:
    with Gateway(tmp_path, config(one=tool_box("kinds"))) as gateway:
        gateway.wait_for_servers()
        write_config(tmp_path, config(one=tool_box("kinds"), two=tool_box("fail")))
        wait_until(gateway, lambda: tools(gateway) == ["one__kinds", "two__fail"])


def test_a_file_replaced_by_rename_is_noticed(tmp_path: Path) -> None:
    with Gateway(tmp_path, config(one=tool_box("kinds"))) as gateway:
        new = write_config(tmp_path / "new", config(two=tool_box("fail")))
        new.replace(tmp_path / "gateway.yaml")
        wait_until(gateway, lambda: tools(gateway) == ["two__fail"])


def test_a_symbolic_link_pointed_elsewhere_is_noticed(tmp_path: Path) -> None:
    old = write_config(tmp_path / "old", config(one=tool_box("kinds")))
    new = write_config(tmp_path / "new", config(two=tool_box("fail")))
    with Gateway(tmp_path, config()) as gateway:
        (tmp_path / "link").symlink_to(old)
        (tmp_path / "link").replace(tmp_path / "gateway.yaml")
        wait_until(gateway, lambda: tools(gateway) == ["one__kinds"])
        (tmp_path / "link").symlink_to(new)
        (tmp_path / "link").replace(tmp_path / "gateway.yaml")
        wait_until(gateway, lambda: tools(gateway) == ["two__fail"])


def test_sighup_reads_the_file_although_it_is_not_watched(tmp_path: Path) -> None:
    unwatched = {"reload": {"watch": False}}
    with Gateway(tmp_path, config(one=tool_box("kinds")) | unwatched) as gateway:
        write_config(tmp_path, config(two=tool_box("fail")) | unwatched)
        gateway.signal(signal.SIGHUP)
        wait_until(gateway, lambda: tools(gateway) == ["two__fail"])


def test_twenty_quick_changes_end_with_the_last(tmp_path: Path) -> None:
    with Gateway(tmp_path, config(one=tool_box("kinds"))) as gateway:
        for number in range(20):
            write_config(tmp_path, config(**{f"server{number}": tool_box("kinds")}))
        wait_until(gateway, lambda: tools(gateway) == ["server19__kinds"])

    assert gateway.log.count("app.reloaded") < 20


def test_a_bad_file_changes_nothing_and_is_told(tmp_path: Path) -> None:
    with Gateway(tmp_path, config(one=tool_box("kinds"))) as gateway:
        gateway.wait_for_servers()
        before = since(gateway)
        write_config(tmp_path, "mcpServers:\n  two: {comand: x}\n")
        wait_until(gateway, lambda: status(gateway)["config"]["error"] is not None)

        assert "gateway.yaml:2:9: mcpServers.two.comand: unknown key" in status(gateway)["config"]["error"]
        assert since(gateway) == before
        assert "the configuration on disk is bad" in run(tmp_path, "status").out

        write_config(tmp_path, config(two=tool_box("fail")))
        wait_until(gateway, lambda: tools(gateway) == ["two__fail"])
        assert status(gateway)["config"]["error"] is None


def test_a_file_that_is_gone_for_a_while_changes_nothing(tmp_path: Path) -> None:
    with Gateway(tmp_path, config(one=tool_box("kinds"))) as gateway:
        gateway.wait_for_servers()
        (tmp_path / "gateway.yaml").rename(tmp_path / "aside.yaml")
        gateway.signal(signal.SIGHUP)
        wait_until(gateway, lambda: status(gateway)["config"]["error"] is not None)
        assert tools(gateway) == ["one__kinds"]

        write_config(tmp_path, config(one=tool_box("kinds"), two=tool_box("fail")))
        wait_until(gateway, lambda: tools(gateway) == ["one__kinds", "two__fail"])


def test_only_changed_servers_are_restarted(tmp_path: Path) -> None:
    with Gateway(tmp_path, config(same=tool_box("kinds"), other=tool_box("kinds"))) as gateway:
        gateway.wait_for_servers()
        before = since(gateway)
        write_config(tmp_path, config(same=tool_box("kinds"), other=tool_box("fail")))
        wait_until(gateway, lambda: tools(gateway) == ["same__kinds", "other__fail"])

        assert since(gateway)["same"] == before["same"]


def test_calls_of_unchanged_servers_go_on_over_a_reload(tmp_path: Path) -> None:
    with Gateway(tmp_path, config(same=tool_box("slow"))) as gateway:
        gateway.wait_for_servers()
        calling = Calling(gateway, "same__slow", 2)
        write_config(tmp_path, config(same=tool_box("slow"), new=tool_box("fail")))
        wait_until(gateway, lambda: "new__fail" in tools(gateway))
        calling.join(READY_S)

    assert calling.result["content"][0]["text"] == "slept"


def test_calls_of_a_removed_server_end(tmp_path: Path) -> None:
    with Gateway(tmp_path, config(gone=tool_box("slow"))) as gateway:
        gateway.wait_for_servers()
        calling = Calling(gateway, "gone__slow", 600)
        write_config(tmp_path, config())
        calling.join(READY_S)

        assert calling.result["isError"] is True
        assert calling.result["_meta"]["io.mcp-gateway/error"]["code"] in ("upstream_removed", "upstream_disconnected")
        assert status(gateway)["servers"] == []


def test_a_changed_env_file_restarts_the_server_that_uses_it(tmp_path: Path) -> None:
    servers = config(uses=tool_box("kinds", env={"TOKEN": "${TOKEN}"}), free=tool_box("kinds"))
    (tmp_path / ".env").write_text("TOKEN=first-token\n")
    with Gateway(tmp_path, servers) as gateway:
        gateway.wait_for_servers()
        (tmp_path / ".env").write_text("TOKEN=second-token\n")
        wait_until(gateway, lambda: "app.reloaded" in gateway.log)
        assert gateway.log.count("upstream.ready name=free") == 1
        wait_until(gateway, lambda: gateway.log.count("upstream.ready name=uses") == 2)


def test_a_listed_env_file_is_watched_too(tmp_path: Path) -> None:
    secrets = tmp_path / "elsewhere" / "secrets.env"
    secrets.parent.mkdir()
    secrets.write_text("OTHER=1\n")
    servers = config(uses=tool_box("kinds", env={"TOKEN": "${TOKEN}"})) | {"env_files": ["elsewhere/secrets.env"]}
    with Gateway(tmp_path, servers) as gateway:
        assert status(gateway)["servers"][0]["state"] == "disabled"
        secrets.write_text("TOKEN=now-there-is-one\n")
        wait_until(gateway, lambda: tools(gateway) == ["uses__kinds"])


def test_settings_that_need_a_restart_are_told(tmp_path: Path) -> None:
    with Gateway(tmp_path, config()) as gateway:
        write_config(tmp_path, config() | {"server": {"port": 1}})
        wait_until(gateway, lambda: status(gateway)["config"]["restart_needed"] == ["server"])

        assert "in force only after a restart: server" in run(tmp_path, "status").out


def test_sysinfo_tells_of_servers_tools_and_cache(tmp_path: Path) -> None:
    with Gateway(tmp_path, config(box=tool_box("kinds"))) as gateway:
        wait_until(gateway, lambda: len(tools(gateway)) > 0)
        told = call(gateway, "sysinfo", sections=["gateway"])["structuredContent"]["sections"]["gateway"]

    assert [server["name"] for server in told["servers"]] == ["box"]
    assert told["tools"] > len(told["servers"])
    assert list(told["cache"]["tiers"]) == ["memory", "disk"]


def test_builtins_are_switched_by_a_reload(tmp_path: Path) -> None:
    off = {"tools": {"sysinfo": {"enabled": False}}}
    with Gateway(tmp_path, config()) as gateway:
        assert call(gateway, "sysinfo", sections=["system"])["isError"] is False
        write_config(tmp_path, config() | off)
        wait_until(
            gateway, lambda: "sysinfo" not in [tool["name"] for tool in gateway.get_json("/api/v1/tools")["tools"]]
        )

        assert call(gateway, "sysinfo")["details"] == {"code": "unknown_name"}


def test_the_log_level_is_changed_by_a_reload(tmp_path: Path) -> None:
    with Gateway(tmp_path, config() | {"observability": {"log": {"level": "error"}}}) as gateway:
        write_config(tmp_path, config() | {"observability": {"log": {"level": "info", "format": "text"}}})
        wait_until(gateway, lambda: "INFO    mcp_gateway.reloading app.reloaded servers=0" in gateway.log)


# -- what is offered ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a b", "Ünï", "x__y", "-", "日本", "a.b/c", "sysinfo", "n" * 200])
def test_a_server_may_have_any_name(tmp_path: Path, name: str) -> None:
    with Gateway(tmp_path, config(**{name: tool_box("kinds")})) as gateway:
        gateway.wait_for_servers()
        (tool,) = tools(gateway)

        assert call(gateway, tool, count=1)["content"][0]["text"] == '{"count": 1}'
        assert gateway.get_json(f"/api/v1/servers/{quote(name, safe='')}")["name"] == name


def test_listings_are_in_the_order_of_names_where_the_file_says_so(tmp_path: Path) -> None:
    servers = {"b": tool_box("slow", "kinds"), "a": tool_box("fail")}
    with Gateway(tmp_path, config(**servers)) as gateway:
        gateway.wait_for_servers()
        assert tools(gateway) == ["b__slow", "b__kinds", "a__fail"]
        write_config(tmp_path, config(**servers) | {"expose": {"order": "name"}})
        wait_until(gateway, lambda: tools(gateway) == ["a__fail", "b__kinds", "b__slow"])


def test_a_name_once_given_stays_with_its_server(tmp_path: Path) -> None:
    collision = {"expose": {"prefix": "collision"}}
    with Gateway(tmp_path, config(late=tool_box("kinds")) | collision) as gateway:
        gateway.wait_for_saved_catalog()
        assert tools(gateway) == ["kinds"]
    servers = config(early=tool_box("kinds"), late=tool_box("kinds")) | collision
    with Gateway(tmp_path, servers) as gateway:
        gateway.wait_for_servers()
        assert tools(gateway) == ["early__kinds", "kinds"]
        assert [tool["server"] for tool in gateway.get_json("/api/v1/tools")["tools"][-2:]] == ["early", "late"]
    with Gateway(tmp_path, config(early=tool_box("kinds")) | collision) as gateway:
        gateway.wait_for_servers()
        assert tools(gateway) == ["early__kinds"], "the name it had stays too"


# -- what is kept ------------------------------------------------------------------------------------------------------


def test_offers_are_served_from_the_last_time(tmp_path: Path) -> None:
    marker = tmp_path / "hang"
    script = tmp_path / "server.sh"
    script.write_text(f'[ -e "{marker}" ] && exec sleep 600\nexec "$@"\n')
    box = tool_box("kinds")
    server = box | {"command": "sh", "args": [str(script), box["command"], *box["args"]]}
    with Gateway(tmp_path, config(box=server)) as gateway:
        gateway.wait_for_saved_catalog()
    marker.touch()
    with Gateway(tmp_path, config(box=server)) as gateway:
        started_s = time.monotonic()
        assert tools(gateway) == ["box__kinds"]
        assert time.monotonic() - started_s < 2, "no server was waited for"


def test_what_a_short_command_learned_is_kept(tmp_path: Path) -> None:
    write_config(tmp_path, config(box=tool_box("kinds")))
    assert run(tmp_path, "list").status == 0
    (saved,) = (tmp_path / "home" / "catalog").glob("*.json")

    assert "box" in json.loads(saved.read_bytes())["servers"]


def test_a_state_folder_that_cannot_be_written_costs_nothing_but_the_state(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("in the way")
    with Gateway(tmp_path, config(box=tool_box("kinds"))) as gateway:
        gateway.wait_for_servers()
        assert call(gateway, "box__kinds", count=1)["content"][0]["text"] == '{"count": 1}'
        wait_until(gateway, lambda: "app.offers_not_saved" in gateway.log)
        assert "app.run_file_not_written" in gateway.log


def test_a_lazy_server_is_listed_from_the_last_time_and_started_by_a_call(tmp_path: Path) -> None:
    with Gateway(tmp_path, config(box=tool_box("kinds"))) as gateway:
        gateway.wait_for_saved_catalog()
    with Gateway(tmp_path, config(box=tool_box("kinds", lazy=True))) as gateway:
        assert tools(gateway) == ["box__kinds"]
        assert status(gateway)["servers"][0]["state"] == "idle"
        assert call(gateway, "box__kinds", count=1)["content"][0]["text"] == '{"count": 1}'
        assert status(gateway)["servers"][0]["state"] == "ready"


# -- secrets -----------------------------------------------------------------------------------------------------------

SECRETS = {
    "written": "secret-written-in-env",
    "dotenv": "secret/of the+dotenv",
    "environment": "secret-of-environment",
    "file": "secret-of-a-file",
    "header": "secret-in-a-header",
    "basic": "secret-basic-password",
    "userinfo": "secret-in-the-url",
    "proxy": "secret-of-the-proxy",
    "model": "secret-model-key",
    "child": "secret-the-child-prints",
}


def spellings(secret: str) -> set[str]:
    return {secret, quote(secret, safe=""), base64.b64encode(secret.encode()).decode().rstrip("=")[:-1]}


@pytest.mark.parametrize("form", ["text", "json"])
def test_no_output_holds_a_secret(tmp_path: Path, form: str) -> None:
    (tmp_path / ".env").write_text(f'FROM_DOTENV="{SECRETS["dotenv"]}"\nAPI_KEY={SECRETS["model"]}\n')
    (tmp_path / "token").write_text(SECRETS["file"] + "\n")
    basic = base64.b64encode(f"user:{SECRETS['basic']}".encode()).decode()
    nowhere = "127.0.0.1:1"
    servers = {
        "prints": tool_box("kinds", env={"SECRET": SECRETS["child"], "WRITTEN": SECRETS["written"]}),
        "dotenv": tool_box("kinds", env={"SECRET": "${FROM_DOTENV}"}),
        "environ": tool_box("kinds", env={"SECRET": "${FROM_ENVIRONMENT}"}),
        "file": tool_box("kinds", env={"SECRET": "${file:token}"}),
        "header": {"url": f"http://{nowhere}/mcp", "headers": {"Authorization": f"Bearer {SECRETS['header']}"}},
        "basic": {"url": f"http://{nowhere}/mcp", "headers": {"Authorization": f"Basic {basic}"}},
        "userinfo": {"url": f"http://user:{SECRETS['userinfo']}@{nowhere}/mcp"},
        "proxied": {"url": "http://example.invalid/mcp", "proxy": f"http://u:{SECRETS['proxy']}@{nowhere}"},
    }
    whole = config(**servers) | {"observability": {"log": {"level": "debug", "format": form}}}
    environ = {"FROM_ENVIRONMENT": SECRETS["environment"]}
    with Gateway(tmp_path, whole, env=environ) as gateway:
        wait_until(gateway, lambda: gateway.log.count("starting with [redacted]") == 4)
        wait_until(gateway, lambda: all(server["state"] != "connecting" for server in status(gateway)["servers"]))
        answers = [json.dumps(gateway.get_json(f"/api/v1/{path}")) for path in ("status", "servers", "tools")]
        answers += [json.dumps(gateway.get_json(f"/api/v1/servers/{name}")) for name in servers]
        answers += [run(tmp_path, *words, **environ).out for words in (("status",), ("list", "servers"))]
        answers += [run(tmp_path, "inspect", name, **environ).out for name in servers]
        (tmp_path / ".env").write_text("")
        wait_until(gateway, lambda: "app.reloaded" in gateway.log)
    everything = "\n".join([gateway.log, *answers])

    assert not [name for name, secret in SECRETS.items() for text in spellings(secret) if text in everything]
    assert basic not in everything


def test_the_environment_of_the_gateway_is_not_that_of_its_children(tmp_path: Path) -> None:
    """`SECRET` makes the tool box print; here only the gateway has it."""
    debug = {"observability": {"log": {"level": "debug"}}}
    with Gateway(tmp_path, config(box=tool_box("kinds")) | debug, env={"SECRET": "not-for-children"}) as gateway:
        gateway.wait_for_servers()

    assert "starting with" not in gateway.log


def test_the_state_folder_is_for_its_owner_alone(tmp_path: Path) -> None:
    with Gateway(tmp_path, config(box=tool_box("kinds")) | {"expose": {"prefix": "collision"}}) as gateway:
        gateway.wait_for_saved_catalog()
    home = tmp_path / "home"
    names = [path for folder in ("catalog", "names") for path in (home / folder).rglob("*.json")]

    assert len(names) == 2
    assert {os.stat(path).st_mode & 0o077 for path in names} == {0}
