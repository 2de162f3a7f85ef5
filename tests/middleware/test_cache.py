"""The cache in the path of a call: what is kept, for whom, and what an upstream sees of it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from functools import partial
from typing import Any

import anyio
import pytest
from mcp_gateway.cache import CacheRule, Scope, Use, open_cache
from mcp_gateway.call import QUIET, Call, Client, Sink
from mcp_gateway.catalog import Kind, Route
from mcp_gateway.errors import RpcError, UpstreamUnavailable
from mcp_gateway.events import CatalogChanged, OfferChanged, ResourceUpdated
from mcp_gateway.middleware.cache import CacheMiddleware
from mcp_gateway.security.principal import LOCAL, Principal
from mcp_gateway.wire import Raw, RawParams

from tests.fakes.clock import Clock

KINDS = {"tools/call": Kind.TOOL, "prompts/get": Kind.PROMPT, "resources/read": Kind.RESOURCE}
READ = CacheRule(Use.KEEP, "one", ttl_s=60)


class Listener:
    """A caller's sink: remembers what it hears, answers what it is asked."""

    def __init__(self, owner: str = "me", token: str | None = None) -> None:
        self.owner = owner
        self.token: str | int | None = token
        self.heard: list[str] = []

    def notify(self, method: str, params: RawParams) -> None:
        self.heard.append(method)

    async def request(self, method: str, params: RawParams) -> Raw:
        return Raw(b'{"action":"accept"}')


class Upstream:
    """The far end: counts its calls, answers what it is told to, behind a gate if need be."""

    def __init__(self) -> None:
        self.result = b'{"content":[{"type":"text","text":"x"}]}'
        self.calls: list[Call] = []
        self.started = anyio.Event()
        self.gate = anyio.Event()
        self.gate.set()
        self.behave: Callable[[Call], Any] | None = None

    async def __call__(self, call: Call) -> Raw:
        self.calls.append(call)
        self.started.set()
        await self.gate.wait()
        if self.behave is not None:
            await self.behave(call)
        return Raw(self.result)


class World:
    """A middleware with a memory cache, an upstream below it and a rule for everything."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.upstream = Upstream()
        self.rule: CacheRule | None = READ
        self.cache = open_cache(path=None, clock=self.clock)
        self.middleware = CacheMiddleware(self.cache, lambda call: self.rule, lambda uri: uri == "file:a")

    async def ask(
        self,
        params: bytes = b'{"q":1}',
        *,
        method: str = "tools/call",
        name: str = "t",
        principal: Principal = LOCAL,
        client: Client | None = None,
        sink: Sink = QUIET,
        **more: Any,
    ) -> dict[str, Any]:
        call = Call(
            method,
            {"arguments": Raw(params)} if method != "resources/read" else {"uri": Raw(b'"file:a"')},
            replace(client or Client("me"), principal=principal),
            sink=sink,
            route=Route(KINDS[method], "one", f"one__{name}", name),
            **more,
        )
        result: dict[str, Any] = json.loads(bytes(await self.middleware(call, self.upstream)))
        return result


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    with anyio.fail_after(20):
        async with world.middleware:
            yield world


def mark(result: dict[str, Any]) -> Any:
    return result["_meta"]["io.mcp-gateway/cache"] if "_meta" in result else None


async def test_a_second_identical_call_is_a_hit_with_its_age(world: World) -> None:
    assert mark(await world.ask()) == {"hit": False, "age_s": 0}
    world.clock.advance(7)
    again = await world.ask(b'{ "q": 1 }')
    assert mark(again) == {"hit": True, "age_s": 7}
    assert again["content"] == [{"type": "text", "text": "x"}]
    assert len(world.upstream.calls) == 1


async def test_the_upstream_is_asked_again_after_the_ttl(world: World) -> None:
    await world.ask()
    world.clock.advance(60)
    assert mark(await world.ask()) == {"hit": False, "age_s": 0}


@pytest.mark.parametrize("rule", [None, CacheRule(Use.PASS, "one")])
async def test_a_call_that_is_not_to_be_kept_goes_through_untouched(world: World, rule: CacheRule | None) -> None:
    world.rule = rule
    assert mark(await world.ask()) is None
    await world.ask()
    assert len(world.upstream.calls) == 2


@pytest.mark.parametrize(
    "result",
    [
        b'{"content":[],"isError":true}',
        b'{"resultType":"input_required"}',
        b'{"content":[{"type":"resource_link","uri":"session:1"}]}',
        b'{"content":"odd"}',
    ],
)
async def test_r_cache_2_results_that_must_not_be_kept_reach_the_upstream_every_time(
    world: World, result: bytes
) -> None:
    world.upstream.result = result
    await world.ask()
    await world.ask()
    assert len(world.upstream.calls) == 2


async def test_a_link_that_the_catalog_owns_may_be_kept(world: World) -> None:
    world.upstream.result = b'{"content":[{"type":"resource_link","uri":"file:a"}]}'
    await world.ask()
    assert mark(await world.ask())["hit"] is True


async def test_an_error_is_raised_and_not_kept(world: World) -> None:
    async def fail(call: Call) -> None:
        raise RpcError.of(-32000, "no")

    world.upstream.behave = fail
    for _ in range(2):
        with pytest.raises(RpcError):
            await world.ask()
    assert len(world.upstream.calls) == 2


async def test_a_task_or_a_retry_with_answers_is_never_kept(world: World) -> None:
    for _ in range(2):
        params: RawParams = {"name": "t", "inputResponses": Raw(b"{}")}
        route = Route(Kind.TOOL, "one", "one__t", "t")
        result = await world.middleware(Call("tools/call", params, Client("me"), route=route), world.upstream)
        assert bytes(result) == world.upstream.result
    assert len(world.upstream.calls) == 2


# -- who shares --------------------------------------------------------------------------------------------------


async def test_r_cache_1_principals_do_not_share_unless_the_rule_says_public(world: World) -> None:
    ann, bob = Principal("ann"), Principal("bob")
    await world.ask(principal=ann)
    assert mark(await world.ask(principal=bob))["hit"] is False
    assert mark(await world.ask(principal=ann))["hit"] is True
    world.rule = CacheRule(Use.KEEP, "one", ttl_s=60, scope=Scope.PUBLIC)
    await world.ask(principal=ann)
    assert mark(await world.ask(principal=bob))["hit"] is True


async def test_sessions_do_not_share_under_a_session_rule(world: World) -> None:
    world.rule = CacheRule(Use.KEEP, "one", ttl_s=60, scope=Scope.SESSION)
    first, second = Client("a", session="a"), Client("b", session="b")
    await world.ask(client=first)
    assert mark(await world.ask(client=second))["hit"] is False
    assert mark(await world.ask(client=first))["hit"] is True


@pytest.mark.parametrize(
    "other",
    [
        CacheRule(Use.KEEP, "one", ttl_s=60, definition="changed"),
        CacheRule(Use.KEEP, "one", ttl_s=60, credential="rotated"),
        CacheRule(Use.KEEP, "two", ttl_s=60),
    ],
)
async def test_r_cache_1_another_definition_credential_or_server_has_other_answers(
    world: World, other: CacheRule
) -> None:
    await world.ask()
    world.rule = other
    assert mark(await world.ask())["hit"] is False


async def test_tools_and_revisions_do_not_share(world: World) -> None:
    await world.ask(name="t")
    assert mark(await world.ask(name="u"))["hit"] is False
    assert mark(await world.ask(name="t", client=Client("me", revision="2025-06-18")))["hit"] is False


# -- prompts and resources ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["prompts/get", "resources/read"])
async def test_prompts_and_resources_live_as_long_as_their_upstream_says(world: World, method: str) -> None:
    world.rule = CacheRule(Use.KEEP, "one")
    world.upstream.result = b'{"ttlMs":5000,"cacheScope":"private"}'
    await world.ask(method=method)
    world.clock.advance(4)
    assert mark(await world.ask(method=method))["hit"] is True
    world.clock.advance(1)
    assert mark(await world.ask(method=method))["hit"] is False


@pytest.mark.parametrize("result", [b'{"ttlMs":0,"cacheScope":"public"}', b"{}"])
async def test_a_resource_without_a_ttl_is_not_kept_and_not_touched(world: World, result: bytes) -> None:
    world.rule = CacheRule(Use.KEEP, "one")
    world.upstream.result = result
    await world.ask(method="resources/read")
    assert await world.ask(method="resources/read") == json.loads(result)


async def test_a_resource_is_shared_only_when_its_upstream_calls_it_public(world: World) -> None:
    world.rule = CacheRule(Use.KEEP, "one")
    world.upstream.result = b'{"ttlMs":5000,"cacheScope":"private"}'
    await world.ask(method="resources/read", principal=Principal("ann"))
    assert mark(await world.ask(method="resources/read", principal=Principal("bob")))["hit"] is False
    world.cache.clear()
    world.upstream.result = b'{"ttlMs":5000,"cacheScope":"public"}'
    await world.ask(method="resources/read", principal=Principal("ann"))
    assert mark(await world.ask(method="resources/read", principal=Principal("bob")))["hit"] is True


async def test_a_tool_result_cannot_call_itself_public(world: World) -> None:
    world.upstream.result = b'{"content":[],"ttlMs":5000,"cacheScope":"public"}'
    await world.ask(principal=Principal("ann"))
    assert mark(await world.ask(principal=Principal("bob")))["hit"] is False


# -- flushes -----------------------------------------------------------------------------------------------------


async def test_a_write_flushes_its_server_also_when_it_fails(world: World) -> None:
    async def fail(call: Call) -> None:
        raise UpstreamUnavailable("down")

    await world.ask()
    world.rule = CacheRule(Use.WRITE, "one")
    world.upstream.behave = fail
    with pytest.raises(UpstreamUnavailable):
        await world.ask(name="write")
    world.upstream.behave, world.rule = None, READ
    assert mark(await world.ask())["hit"] is False
    world.rule = CacheRule(Use.WRITE, "two")
    await world.ask(name="write")
    world.rule = READ
    assert mark(await world.ask())["hit"] is True


async def test_an_answer_that_was_under_way_during_a_write_is_not_kept(world: World) -> None:
    world.upstream.gate = anyio.Event()
    async with anyio.create_task_group() as group:
        group.start_soon(world.ask)
        await world.upstream.started.wait()
        world.cache.flush("one")
        world.upstream.gate.set()
    assert mark(await world.ask())["hit"] is False


async def test_changes_that_a_server_announces_flush_it_but_its_first_listing_does_not(world: World) -> None:
    await world.ask()
    world.middleware.hear(OfferChanged("one"))
    world.middleware.hear(ResourceUpdated("unknown", "file:x"))
    world.middleware.hear(CatalogChanged(frozenset({"tools"})))
    assert mark(await world.ask())["hit"] is True
    world.middleware.hear(OfferChanged("one"))
    assert mark(await world.ask())["hit"] is False
    world.middleware.hear(ResourceUpdated("one", "file:a"))
    assert mark(await world.ask())["hit"] is False


# -- together ----------------------------------------------------------------------------------------------------


async def hold_together(world: World, sinks: list[Listener], results: list[dict[str, Any]], **more: Any) -> None:
    """Let every sink's caller ask the same, and hold the upstream until all of them have."""
    world.upstream.gate = anyio.Event()

    async def ask(sink: Listener) -> None:
        results.append(await world.ask(sink=sink, **more))

    async with anyio.create_task_group() as group:
        for sink in sinks:
            group.start_soon(ask, sink)
        await world.upstream.started.wait()
        await anyio.wait_all_tasks_blocked()
        world.upstream.gate.set()


async def test_identical_misses_at_once_are_one_call_and_all_hear_its_notifications(world: World) -> None:
    async def speak(call: Call) -> None:
        call.sink.notify("notifications/message", {"data": "x"})

    world.upstream.behave = speak
    sinks, results = [Listener() for _ in range(5)], list[dict[str, Any]]()
    await hold_together(world, sinks, results)
    assert len(world.upstream.calls) == 1
    assert [mark(result)["hit"] for result in results] == [False] * 5
    assert [sink.heard for sink in sinks] == [["notifications/message"]] * 5


async def test_callers_with_progress_tokens_are_served_hits_and_make_their_own_misses(world: World) -> None:
    sinks, results = [Listener(token=token) for token in "ab"], list[dict[str, Any]]()
    await hold_together(world, sinks, results)
    assert [call.sink.token for call in world.upstream.calls] == ["a", "b"]
    assert mark(await world.ask(sink=Listener(token="c")))["hit"] is True


async def test_an_answer_with_questions_in_it_is_for_the_one_who_was_asked(world: World) -> None:
    async def question(call: Call) -> None:
        await call.sink.request("elicitation/create", {})

    world.upstream.behave = question
    results = list[dict[str, Any]]()
    await hold_together(world, [Listener("a"), Listener("b")], results)
    assert [call.sink.owner for call in world.upstream.calls] == ["a", "b"]
    assert [mark(result) for result in results] == [None, None]
    assert len(world.cache.stats().tiers) == 1
    assert world.cache.stats().entries == 0


async def test_nobody_else_is_asked_when_the_one_who_started_the_call_has_left(world: World) -> None:
    refusals: list[RpcError] = []

    async def question(call: Call) -> None:
        try:
            await call.sink.request("elicitation/create", {})
        except RpcError as refused:
            refusals.append(refused)

    world.upstream.behave, world.upstream.gate = question, anyio.Event()
    async with anyio.create_task_group() as group:
        scope = anyio.CancelScope()

        async def leave() -> None:
            with scope:
                await world.ask(sink=Listener("a"))

        group.start_soon(leave)
        await world.upstream.started.wait()
        group.start_soon(partial(world.ask, sink=Listener("b")))
        await anyio.wait_all_tasks_blocked()
        scope.cancel()
        await anyio.wait_all_tasks_blocked()
        world.upstream.gate.set()
    assert len(refusals) == 1
    assert len(world.upstream.calls) == 2


async def test_different_deadlines_do_not_share_a_call(world: World) -> None:
    world.upstream.gate = anyio.Event()
    async with anyio.create_task_group() as group:
        for deadline_s in (1.0, 9.0):
            group.start_soon(partial(world.ask, deadline_s=deadline_s))
        await anyio.wait_all_tasks_blocked()
        world.upstream.gate.set()
    assert len(world.upstream.calls) == 2


async def test_a_stale_answer_is_served_while_a_new_one_is_fetched_once(world: World) -> None:
    world.rule = CacheRule(Use.KEEP, "one", ttl_s=10, stale_s=30)
    await world.ask()
    world.clock.advance(15)
    world.upstream.gate, world.upstream.started = anyio.Event(), anyio.Event()
    for _ in range(3):
        assert mark(await world.ask()) == {"hit": True, "age_s": 15}
    await world.upstream.started.wait()
    world.upstream.gate.set()
    await anyio.wait_all_tasks_blocked()
    assert mark(await world.ask()) == {"hit": True, "age_s": 0}
    assert len(world.upstream.calls) == 2
    world.clock.advance(40)
    assert mark(await world.ask())["hit"] is False
