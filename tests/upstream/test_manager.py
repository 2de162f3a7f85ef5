"""All upstreams side by side: none delays another, and a changed configuration touches only what changed."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp_gateway.call import Client
from mcp_gateway.catalog.offer import Offer
from mcp_gateway.errors import UnknownName, UpstreamBusy, UpstreamRemoved
from mcp_gateway.events import Event, Events, LogMessage, OfferChanged, ServerStateChanged
from mcp_gateway.security.principal import LOCAL, Principal
from mcp_gateway.upstream.definition import Definition, Isolation
from mcp_gateway.upstream.eras import EraBook
from mcp_gateway.upstream.lifecycle import State
from mcp_gateway.upstream.manager import UNION, MCPAgentManager
from mcp_gateway.upstream.pool import MAX_ISOLATED_OF_PRINCIPAL, MAX_OF_PRINCIPAL
from mcp_gateway.wire import loads

from tests.fakes.http_server import Request, Wire, scripted
from tests.upstream.dispatch.pipes import until
from tests.upstream.keeping import PATIENT, WAIT_S, Moody, calling, defined, http, stdio


@asynccontextmanager
async def managing(
    *definitions: Definition, saved: Mapping[str, Offer] | None = None, **more: Any
) -> AsyncIterator[tuple[MCPAgentManager, list[Event]]]:
    """A running manager, and every event it rang."""
    events, heard = Events(), list[Event]()
    events.subscribe(heard.append)
    manager = MCPAgentManager(events, EraBook(None), saved or {}, **more)
    async with anyio.create_task_group() as group:
        await group.start(manager.run, definitions)
        try:
            yield manager, heard
        finally:
            group.cancel_scope.cancel()


async def all_ready(manager: MCPAgentManager) -> None:
    await until(lambda: all(agent.link is not None for agent in manager.agents))


def client(key: str, *, session: str | None = None, **capabilities: Any) -> Client:
    return Client(key=key, capabilities=capabilities, session=session)


async def pid(manager: MCPAgentManager, who: Client, principal: Principal = LOCAL, server: str = "up") -> int:
    """The process that answers a client's call."""
    with anyio.fail_after(WAIT_S):
        raw = await manager.agent_for(server, replace(who, principal=principal)).call(calling("tool_0"))
    return int(loads(raw)["structuredContent"]["pid"])


def is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


# -- side by side ------------------------------------------------------------------------------------------------


async def test_sick_upstreams_delay_no_healthy_one(tmp_path: Path) -> None:
    moods = ("exits", "no_initialize", "hangs_tools", "sleeps", "fails_tools fails_prompts fails_resources")
    sick = [Moody(tmp_path, mood, f"sick{number}").definition() for number, mood in enumerate(moods)]
    good = Moody(tmp_path, name="up").definition()
    async with managing(*sick, good) as (manager, _):
        with anyio.fail_after(3):
            await until(lambda: manager.agent("up").link is not None)
            await pid(manager, client("a"))
        assert manager.agent("sick1").state is State.CONNECTING
        assert manager.names[-1] == "up"
        assert [offer.server for offer in manager.in_order()] == ["up"]


async def test_settled_waits_for_offers_and_failures_and_no_longer_than_told(tmp_path: Path) -> None:
    failing = Moody(tmp_path, "exits", "failing").definition()
    good = Moody(tmp_path, name="good").definition()
    hanging = Moody(tmp_path, "no_initialize", "hanging").definition()
    async with managing(failing, good) as (manager, _):
        with anyio.fail_after(WAIT_S):
            await manager.settled(WAIT_S * 2)
        assert "good" in manager.offers
        assert manager.agent("failing").failures
        manager.apply([failing, good, hanging])
        began_s = time.monotonic()
        await manager.settled(0.3)
        assert 0.3 <= time.monotonic() - began_s < 1.0
        async with anyio.create_task_group() as group:
            with anyio.fail_after(2):
                group.start_soon(manager.settled, 60.0)
                await anyio.wait_all_tasks_blocked()
                manager.apply([failing, good])


async def test_offers_come_in_the_order_of_the_file(tmp_path: Path) -> None:
    far = [Moody(tmp_path, name=name).definition() for name in ("c", "a", "b")]
    async with managing(*far) as (manager, _):
        await all_ready(manager)
        assert [offer.server for offer in manager.in_order()] == ["c", "a", "b"]
        manager.apply(reversed(far))
        assert [offer.server for offer in manager.in_order()] == ["b", "a", "c"]
        assert [agent.name for agent in manager.agents] == ["b", "a", "c"]


async def test_a_saved_offer_serves_until_the_upstream_tells_a_new_one(tmp_path: Path) -> None:
    saved = Offer("up", "2025-11-25", instructions="old")
    far = Moody(tmp_path, "exits")
    async with managing(far.definition(), saved={"up": saved}) as (manager, heard):
        with anyio.fail_after(0.5):
            await manager.settled(60)
        assert manager.in_order() == (saved,)
        far.mood("")
        await until(lambda: OfferChanged("up") in heard)
        assert [loads(entry["name"]) for entry in manager.offers["up"].tools] == ["tool_0"]


async def test_an_offer_outlives_its_connection_and_a_failing_list(tmp_path: Path) -> None:
    far = Moody(tmp_path)
    async with managing(far.definition()) as (manager, _):
        await all_ready(manager)
        far.mood("fails_tools")
        manager.reconnect("up")
        await until(lambda: len(far.starts) == 2)
        await all_ready(manager)
        assert [loads(entry["name"]) for entry in manager.offers["up"].tools] == ["tool_0"]


# -- apply -------------------------------------------------------------------------------------------------------


async def test_apply_adds_removes_and_leaves_the_rest_alone(tmp_path: Path) -> None:
    stays, goes, comes = (Moody(tmp_path, name=name) for name in ("stays", "goes", "comes"))
    async with managing(stays.definition(), goes.definition()) as (manager, _):
        await all_ready(manager)
        before = await pid(manager, client("a"), server="stays")
        manager.apply([stays.definition(), comes.definition()])
        await all_ready(manager)
        assert await pid(manager, client("a"), server="stays") == before
        assert manager.names == ("stays", "comes")
        assert set(manager.offers) == {"stays", "comes"}
        with pytest.raises(UnknownName):
            manager.agent("goes")
        await until(lambda: not is_alive(goes.starts[0]))


async def test_a_renamed_upstream_is_another_one(tmp_path: Path) -> None:
    old, new = Moody(tmp_path, name="old"), Moody(tmp_path, name="new")
    async with managing(old.definition()) as (manager, _):
        await all_ready(manager)
        manager.apply([new.definition()])
        assert "old" not in manager.offers
        await all_ready(manager)
        assert set(manager.offers) == {"new"}


async def test_a_changed_setting_replaces_the_connection_and_keeps_the_offer(tmp_path: Path) -> None:
    far = Moody(tmp_path)
    async with managing(far.definition()) as (manager, _):
        await all_ready(manager)
        before = await pid(manager, client("a"))
        manager.apply([far.definition(timeout_s=3.0)])
        assert "up" in manager.offers
        assert await pid(manager, client("a")) != before
        assert manager.agent("up").rules.timeout_s == 3.0


async def test_a_changed_fingerprint_takes_the_old_offer_away(tmp_path: Path) -> None:
    far = Moody(tmp_path)
    async with managing(far.definition()) as (manager, _):
        await all_ready(manager)
        manager.apply([replace(far.definition(timeout_s=3.0), fingerprint="another")])
        assert "up" not in manager.offers


async def test_a_disabled_upstream_is_stopped_and_says_why(tmp_path: Path) -> None:
    far = Moody(tmp_path)
    async with managing(far.definition()) as (manager, heard):
        await all_ready(manager)
        manager.apply([far.definition(disabled="switched off")])
        assert (manager.names, manager.agents, manager.offers) == (("up",), (), {})
        assert manager.disabled == {"up": "switched off"}
        assert heard[-1] == ServerStateChanged("up", "disabled", "switched off")
        await until(lambda: not is_alive(far.starts[0]))
        manager.apply([far.definition()])
        await all_ready(manager)


async def test_a_replaced_upstream_is_asked_again_for_what_clients_want(tmp_path: Path) -> None:
    far = Moody(tmp_path)
    async with managing(far.definition()) as (manager, _):
        await all_ready(manager)
        await manager.agent("up").subscribe("x://1")
        await manager.set_log_level("debug")
        manager.apply([far.definition(timeout_s=3.0)])
        await all_ready(manager)
        await until(lambda: len(far.received("resources/subscribe")) == len(far.received("logging/setLevel")) == 2)
        assert len(far.starts) == 2


async def test_a_new_upstream_hears_the_level_that_holds(tmp_path: Path) -> None:
    far = Moody(tmp_path)
    async with managing() as (manager, _):
        await manager.set_log_level("debug")
        manager.apply([far.definition()])
        await until(lambda: len(far.received("logging/setLevel")) == 1)


@pytest.mark.parametrize("mood", ["hangs", "hangs deaf"])
async def test_calls_in_flight_of_a_removed_upstream_are_told_so(tmp_path: Path, mood: str) -> None:
    far = Moody(tmp_path, mood)
    async with managing(far.definition()) as (manager, _):
        await all_ready(manager)
        failures: list[UpstreamRemoved] = []

        async def call() -> None:
            with pytest.raises(UpstreamRemoved) as removed:
                await manager.agent("up").call(calling("tool_0"))
            failures.append(removed.value)

        async with anyio.create_task_group() as group:
            group.start_soon(call)
            await until(lambda: len(far.received("tools/call")) == 1)
            began_s = time.monotonic()
            manager.apply([])
        assert time.monotonic() - began_s < 2
        assert failures[0].server == "up"


async def test_calls_that_wait_for_a_removed_upstream_are_told_so(tmp_path: Path) -> None:
    far = Moody(tmp_path, "no_initialize")
    async with managing(far.definition()) as (manager, _), anyio.create_task_group() as group:
        agent = manager.agent("up")
        refused = anyio.Event()

        async def call() -> None:
            with pytest.raises(UpstreamRemoved):
                await agent.call(calling("tool_0"))
            refused.set()

        group.start_soon(call)
        await until(lambda: agent.slots.in_flight == 1)
        manager.apply([])
        with anyio.fail_after(1):
            await refused.wait()


# -- whose connection --------------------------------------------------------------------------------------------


async def test_by_default_everybody_shares_one_child_that_is_told_the_union_of_capabilities(tmp_path: Path) -> None:
    far = Moody(tmp_path)
    async with managing(far.definition()) as (manager, _):
        assert await pid(manager, client("a", session="a")) == await pid(manager, client("b"), Principal("other"))
        assert far.received("initialize")[0]["params"]["capabilities"] == UNION


async def test_each_session_has_its_own_child_where_the_file_says_so_until_it_ends(tmp_path: Path) -> None:
    far = Moody(tmp_path)
    a, b = client("a", session="a", sampling={}), client("b", session="b")
    async with managing(far.definition(isolation=Isolation.SESSION)) as (manager, _):
        await all_ready(manager)
        own = await pid(manager, a), await pid(manager, b)
        assert len({far.starts[0], *own}) == 3
        assert await pid(manager, a) == own[0]
        assert {"sampling": {}} in [message["params"]["capabilities"] for message in far.received("initialize")]
        manager.release(a)
        await until(lambda: not is_alive(own[0]))
        assert is_alive(own[1])
        assert await pid(manager, a) not in own


async def test_each_user_has_a_child_where_the_file_says_so(tmp_path: Path) -> None:
    far = Moody(tmp_path)
    ann, bob = Principal("ann"), Principal("bob")
    async with managing(far.definition(isolation=Isolation.USER)) as (manager, _):
        of_ann = await pid(manager, client("a", session="a"), ann)
        assert await pid(manager, client("b", session="b"), ann) == of_ann
        assert await pid(manager, client("a", session="a"), bob) != of_ann


async def test_a_client_without_a_session_is_isolated_by_its_user(tmp_path: Path) -> None:
    far = Moody(tmp_path)
    async with managing(far.definition(isolation=Isolation.SESSION)) as (manager, _):
        await all_ready(manager)
        first = await pid(manager, client("1"))
        assert await pid(manager, client("2")) == first
        assert first != far.starts[0]


async def test_isolated_clients_never_end_up_on_the_shared_connection_for_want_of_room(tmp_path: Path) -> None:
    far = Moody(tmp_path)
    async with managing(far.definition(isolation=Isolation.SESSION), max_pooled=1) as (manager, _):
        a, b = client("a", session="a"), client("b", session="b")
        await pid(manager, a)
        with pytest.raises(UpstreamBusy, match="no connection left"):
            manager.agent_for("up", b)
        manager.release(a)
        await pid(manager, b)


async def test_isolation_leaves_connections_for_other_principals(tmp_path: Path) -> None:
    far = Moody(tmp_path)
    async with managing(far.definition(isolation=Isolation.SESSION)) as (manager, _):
        mine = [replace(client(str(number), session=str(number)), principal=Principal("ann")) for number in range(251)]
        agents = {id(manager.agent_for("up", one)) for one in mine[:MAX_ISOLATED_OF_PRINCIPAL]}
        assert len(agents) == MAX_ISOLATED_OF_PRINCIPAL == len(mine) - 1
        with pytest.raises(UpstreamBusy, match="no connection left"):
            manager.agent_for("up", mine[-1])
        manager.agent_for("up", replace(mine[-1], principal=Principal("bob")))
        manager.dismiss(lambda principal: principal != "ann")
        assert len(manager.connections) == 2


async def test_what_an_isolated_child_logs_outside_of_calls_is_for_its_own_session(tmp_path: Path) -> None:
    far = Moody(tmp_path)
    a = client("a", session="a")
    async with managing(far.definition(isolation=Isolation.SESSION)) as (manager, heard):
        await all_ready(manager)
        manager.notified(manager.agent_for("up", a), "notifications/message", {"data": "private"})
        manager.notified(manager.agent("up"), "notifications/message", {"data": "public"})
        told = [(event.params["data"], event.session) for event in heard if isinstance(event, LogMessage)]
        assert told == [("private", "a"), ("public", None)]


async def test_an_own_connection_that_nobody_uses_is_given_up(tmp_path: Path) -> None:
    far = Moody(tmp_path)
    definition = far.definition(isolation=Isolation.USER, idle_stop_s=0.3)
    async with managing(definition) as (manager, _):
        await pid(manager, client("a"))
        await until(lambda: len(manager.connections) == 1)


async def test_an_own_connection_with_a_subscription_is_made_again_whatever_ends_it(tmp_path: Path) -> None:
    far = Moody(tmp_path)
    a = client("a", session="a")
    async with managing(far.definition(isolation=Isolation.SESSION)) as (manager, _):
        await all_ready(manager)
        await manager.agent_for("up", a).subscribe("x://1")
        own = manager.agent_for("up", a)
        os.kill(await pid(manager, a), 9)
        await until(lambda: len(far.received("resources/subscribe")) == 2)
        manager.reconnect("up")
        await until(lambda: len(far.received("resources/subscribe")) == 3)
        manager.apply([far.definition(isolation=Isolation.SESSION, timeout_s=3.0)])
        await until(lambda: len(far.received("resources/subscribe")) == 4)

        assert manager.agent_of("up", own.connection) is manager.agent_for("up", a) is not own
        manager.release(a)
        assert manager.agent_of("up", own.connection) is None


async def test_an_own_connection_without_a_subscription_ends_with_what_it_was_made_by(tmp_path: Path) -> None:
    far = Moody(tmp_path)
    async with managing(far.definition(isolation=Isolation.USER)) as (manager, _):
        await pid(manager, client("a"))
        manager.apply([far.definition(isolation=Isolation.USER, timeout_s=3.0)])
        assert len(manager.connections) == 1


async def test_an_own_connection_that_failed_is_not_dialled_until_it_is_used(tmp_path: Path) -> None:
    far = Moody(tmp_path)
    a = client("a", session="a")
    async with managing(far.definition(isolation=Isolation.SESSION)) as (manager, _):
        await all_ready(manager)
        own = await pid(manager, a)
        os.kill(own, 9)
        agent = manager.agent_for("up", a)
        await until(lambda: agent.state is State.BACKOFF)
        with anyio.move_on_after(1):
            await until(lambda: len(far.starts) > 2)
        assert len(far.starts) == 2
        assert await pid(manager, a) == far.starts[2]


async def legacy_http(request: Request, wire: Wire) -> None:
    if request.verb != "POST":
        await wire.whole(405, b"")
    elif request.json["method"] == "initialize":
        await wire.result(request, {"protocolVersion": "2025-11-25", "capabilities": {}})
    elif "id" not in request.json:
        await wire.whole(202, b"")
    elif request.json["method"] == "server/discover":
        await wire.whole(400, b"")
    else:
        await wire.result(request, {})


async def test_a_legacy_http_upstream_is_told_what_the_clients_of_each_connection_can_do() -> None:
    async with scripted(legacy_http) as server:
        definition = defined(http(server.url), transport="http")
        async with managing(definition, max_pooled=3) as (manager, _):
            await all_ready(manager)
            form: dict[str, Any] = {"elicitation": {"form": {}}}
            url: dict[str, Any] = {"elicitation": {"form": {}, "url": {}}}
            same: dict[str, Any] = {"elicitation": {"url": {}, "form": {}}}
            kinds: tuple[dict[str, Any], ...] = (form, url, same, {})
            agents = [manager.agent_for("up", client("x", **kind)) for kind in kinds]
            assert agents[1] is agents[2]
            assert len({id(agent) for agent in agents}) == 3
            for agent in agents:
                await agent.call(calling("x"))
            told = [request.json["params"]["capabilities"] for request in server.calls("initialize")]
            assert told == [dict(UNION), form, url, {}]
            assert manager.agent_for("up", replace(client("x"), principal=Principal("another"))) is manager.agent("up")


async def test_what_no_upstream_asks_for_makes_no_connection() -> None:
    async with (
        scripted(legacy_http) as server,
        managing(defined(http(server.url), transport="http")) as (manager, _),
    ):
        await all_ready(manager)
        odd: list[dict[str, Any]] = [
            {"experimental": {f"x{number}": {}}, "sampling": {"n": number}, "roots": {"listChanged": number}}
            for number in range(40)
        ]
        agents = {id(manager.agent_for("up", client("x", **capabilities))) for capabilities in odd}
        assert len(agents) == 1
        await manager.agent_for("up", client("x", **odd[0])).call(calling("x"))
        assert server.calls("initialize")[-1].json["params"]["capabilities"] == {"sampling": {}, "roots": {}}


async def test_one_principal_leaves_connections_for_others() -> None:
    sampling: list[dict[str, Any]] = [{}, {"tools": {}}, {"context": {}}, {"tools": {}, "context": {}}]
    elicitation: list[dict[str, Any]] = [{}, {"form": {}}, {"url": {}}, {"form": {}, "url": {}}]
    roots: list[dict[str, Any]] = [{}, {"listChanged": True}]
    kinds: list[dict[str, Any]] = [
        {"sampling": one, "elicitation": two, "roots": three}
        for one in sampling
        for two in elicitation
        for three in roots
    ]
    async with (
        scripted(legacy_http) as server,
        managing(defined(http(server.url), transport="http")) as (manager, _),
    ):
        await all_ready(manager)
        agents = {id(manager.agent_for("up", client("x", **kind))) for kind in kinds}
        assert len(agents) == len(kinds) == MAX_OF_PRINCIPAL
        assert manager.agent_for("up", client("x")) is manager.agent("up")
        another = replace(client("y"), principal=Principal("another"))
        assert manager.agent_for("up", another) is not manager.agent("up")


async def test_a_log_level_reaches_every_connection_also_later_ones(tmp_path: Path) -> None:
    far = Moody(tmp_path)
    a = client("a", session="a")
    async with managing(far.definition(isolation=Isolation.SESSION)) as (manager, _):
        await all_ready(manager)
        await manager.set_log_level("error")
        await pid(manager, a)
        await until(lambda: len(far.received("logging/setLevel")) == 2)
        manager.reconnect("up")
        await until(lambda: len(far.received("logging/setLevel")) == 3)


# -- the end -----------------------------------------------------------------------------------------------------


async def test_stopping_ten_children_some_of_them_deaf_takes_less_than_a_second_and_a_half(tmp_path: Path) -> None:
    far = [Moody(tmp_path, "deaf" if number % 3 == 0 else "", f"up{number}") for number in range(10)]
    async with managing(*(one.definition() for one in far)) as (manager, _):
        await all_ready(manager)
        began_s = time.monotonic()
    assert time.monotonic() - began_s < 1.5
    assert [child for one in far for child in one.starts if is_alive(child)] == []


async def test_a_real_server_is_listed_called_and_ended() -> None:
    definition = defined(stdio([sys.executable, "-m", "mcp_server_time"]), restart=PATIENT)
    async with managing(definition) as (manager, _):
        with anyio.fail_after(WAIT_S):
            await manager.settled(WAIT_S * 2)
            names = [loads(entry["name"]) for entry in manager.offers["up"].tools]
            assert names == ["get_current_time", "convert_time"]
            result = loads(await manager.agent("up").call(calling("get_current_time", timezone="UTC")))
            assert "UTC" in result["content"][0]["text"]
