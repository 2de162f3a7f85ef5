"""The path of a call below every door: resolving, sharing, giving back."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from mcp_gateway.call import Call, Client
from mcp_gateway.errors import InvalidParams, RpcError, UnknownMethod, UnknownName, UpstreamStartFailed
from mcp_gateway.revisions import LATEST_LEGACY, LATEST_MODERN
from mcp_gateway.wire import loads

from tests.fakes.everything import STATIC
from tests.interaction.asking import until
from tests.interaction.house import House, gateway, house


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[House]:
    async with house(tmp_path) as running:
        yield running


def client(key: str, revision: str = LATEST_LEGACY) -> Client:
    return Client(key, revision=revision, session=key)


@pytest.mark.parametrize("method", ["tools/call", "prompts/get", "resources/read", "resources/subscribe"])
@pytest.mark.parametrize("value", [None, 7, ["x"], {}])
async def test_a_name_that_is_no_text_is_refused(home: House, method: str, value: object) -> None:
    with pytest.raises(InvalidParams):
        await home.app.gateway.route(Call(method, {"name": value, "uri": value}, client("a")))


@pytest.mark.parametrize("ref", [None, 7, [], {}, {"type": "ref/prompt"}, {"type": "ref/resource", "uri": 7}])
async def test_a_completion_without_a_reference_is_refused(home: House, ref: object) -> None:
    with pytest.raises(InvalidParams):
        await home.app.gateway.route(Call("completion/complete", {"ref": ref}, client("a")))


@pytest.mark.parametrize("level", ["loud", "", "WARNING"])
async def test_an_unknown_log_level_is_refused(home: House, level: str) -> None:
    with pytest.raises(InvalidParams, match="debug, info"):
        await home.app.gateway.route(Call("logging/setLevel", {"level": level}, client("a")))


async def test_upstreams_are_told_the_mildest_level_of_those_who_are_there(home: House) -> None:
    gateway, first, second = home.app.gateway, client("a"), client("b")
    await gateway.route(Call("logging/setLevel", {"level": "error"}, first))
    await gateway.route(Call("logging/setLevel", {"level": "debug"}, second))
    gateway.release(second)

    await until(lambda: home.everything.levels[-1] == "error")
    assert home.everything.levels == ["error", "debug", "error"]
    assert (gateway.log_level(first), gateway.log_level(second)) == ("error", None)


async def test_what_a_client_subscribed_to_is_given_up_with_it(home: House) -> None:
    gateway = home.app.gateway
    await gateway.route(Call("resources/subscribe", {"uri": STATIC}, client("a")))
    assert gateway.subscribers("up", STATIC) == (STATIC, frozenset({"a"}))
    gateway.release(client("a"))

    await until(lambda: not home.everything.subscribed)
    assert gateway.subscribers("up", STATIC) == (STATIC, frozenset())


async def test_giving_up_what_one_never_had_is_no_fault(home: House) -> None:
    await home.app.gateway.route(Call("resources/unsubscribe", {"uri": STATIC}, client("a")))
    home.app.gateway.release(client("a"))

    assert home.everything.subscribed == set()


async def test_a_vendors_method_is_served_by_whoever_knows_it(home: House) -> None:
    for _ in range(2):
        assert loads(await home.app.gateway.route(Call("vendor/shout", {}, client("a"))))["shout"] == "HEY"
    with pytest.raises(UnknownMethod):
        await home.app.gateway.route(Call("vendor/whisper", {}, client("a")))


@pytest.mark.parametrize(("revision", "complete"), [(LATEST_LEGACY, False), (LATEST_MODERN, True)])
async def test_a_builtins_result_is_in_the_callers_revision(home: House, revision: str, complete: bool) -> None:
    call = Call("tools/call", {"name": "sysinfo", "arguments": {}}, client("a", revision))

    assert ("resultType" in loads(await home.app.gateway.route(call))) is complete


async def test_an_unknown_name_and_an_upstreams_own_error_are_told_apart(home: House) -> None:
    with pytest.raises(UnknownName):
        await home.app.gateway.route(Call("resources/read", {"uri": "other://x"}, client("a")))
    with pytest.raises(RpcError):
        await home.app.gateway.route(Call("resources/read", {"uri": "test://items/missing"}, client("a")))


async def test_arguments_that_a_built_in_refuses_are_told_to_the_model(home: House) -> None:
    call = Call("tools/call", {"name": "sysinfo", "arguments": {"sections": ["bogus"]}}, client("a"))
    result = loads(await home.app.gateway.route(call))

    assert result["isError"] is True
    assert result["_meta"]["io.mcp-gateway/error"] == {"code": "invalid_params", "server": None}
    assert result["content"][0]["text"].startswith("sysinfo: sections.0: Input should be")


async def test_a_tool_of_a_server_that_never_came_up_says_why(tmp_path: Path) -> None:
    servers = {
        "broken": {"command": sys.executable, "args": ["-c", "raise SystemExit(3)"]},
        "off": {"command": sys.executable, "disabled": True},
    }
    async with gateway(tmp_path, {"mcpServers": servers}) as (app, _):
        broken = loads(await app.gateway.route(Call("tools/call", {"name": "broken__x"}, client("a"))))
        off = loads(await app.gateway.route(Call("tools/call", {"name": "off__x"}, client("a"))))
        with pytest.raises(UpstreamStartFailed):
            await app.gateway.route(Call("prompts/get", {"name": "broken__x"}, client("a")))
        with pytest.raises(UnknownName):
            await app.gateway.route(Call("tools/call", {"name": "nobody__x"}, client("a")))

    assert broken["_meta"]["io.mcp-gateway/error"] == {"code": "upstream_start_failed", "server": "broken"}
    assert "exited with code 3" in broken["content"][0]["text"]
    assert off["content"][0]["text"] == "upstream 'off' is disabled: switched off in the configuration"
