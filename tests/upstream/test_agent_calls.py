"""Calls through a keeper: deadlines, places, outages, and never twice."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp_gateway.errors import (
    RpcError,
    UpstreamAuth,
    UpstreamBusy,
    UpstreamDisconnected,
    UpstreamStartFailed,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from mcp_gateway.upstream.lifecycle import RestartPolicy, State
from mcp_gateway.upstream.session import Era

from tests.fakes.http_server import Request, ScriptedServer, Wire, scripted
from tests.upstream.dispatch.pipes import Remembering, until
from tests.upstream.keeping import PATIENT, Moody, Watched, defined, http, kept

WAITS_LONG = RestartPolicy(max_failures=5, first_s=1e6, cap_s=1e6)
"""Backs off for so long that no jitter makes an attempt near."""


@asynccontextmanager
async def ready(far: Moody, **more: Any) -> AsyncIterator[Watched]:
    async with kept(far.definition(**more)) as up:
        await up.ready()
        yield up


async def test_a_call_that_is_not_answered_ends_at_the_upstreams_deadline(tmp_path: Path) -> None:
    far = Moody(tmp_path)
    async with ready(far, timeout_s=0.3) as up:
        far.mood("hangs")
        with pytest.raises(UpstreamTimeout, match=r"^upstream 'up' did not answer within 0.3 s$"):
            await up.call()
        assert up.agent.failures == {"upstream_timeout": 1}


async def test_a_tool_may_have_a_deadline_of_its_own(tmp_path: Path) -> None:
    far = Moody(tmp_path)
    async with ready(far, tool_timeouts_s={"tool_0": 0.2}) as up:
        far.mood("hangs")
        with pytest.raises(UpstreamTimeout, match=r"0.2 s"):
            await up.call()


@pytest.mark.parametrize(("wish_s", "limit"), [(0.1, "0.1 s"), (50.0, "0.3 s")])
async def test_a_caller_can_only_shorten_the_deadline(tmp_path: Path, wish_s: float, limit: str) -> None:
    far = Moody(tmp_path)
    async with ready(far, timeout_s=0.3) as up:
        far.mood("hangs")
        with pytest.raises(UpstreamTimeout, match=limit):
            await up.call(deadline_s=wish_s)


async def test_progress_extends_the_deadline_where_the_file_says_so(tmp_path: Path) -> None:
    sink = Remembering(token="t")
    async with ready(Moody(tmp_path), timeout_s=0.4, timeout_resets_on_progress=True) as up:
        assert "structuredContent" in await up.call(sink=sink, progress=8)
    assert len(sink.heard) == 8


async def test_progress_extends_the_deadline_of_a_caller_that_wants_none(tmp_path: Path) -> None:
    sink = Remembering(token=None)
    async with ready(Moody(tmp_path), timeout_s=0.4, timeout_resets_on_progress=True) as up:
        assert "structuredContent" in await up.call(sink=sink, progress=8)
    assert sink.heard == []


async def test_progress_does_not_extend_the_callers_own_deadline(tmp_path: Path) -> None:
    async with ready(Moody(tmp_path), timeout_resets_on_progress=True) as up:
        with pytest.raises(UpstreamTimeout):
            await up.call(sink=Remembering(token="t"), progress=20, deadline_s=0.4)


async def test_without_that_setting_progress_extends_nothing(tmp_path: Path) -> None:
    async with ready(Moody(tmp_path), timeout_s=0.4) as up:
        with pytest.raises(UpstreamTimeout):
            await up.call(sink=Remembering(token="t"), progress=20)


async def test_three_timeouts_and_a_silent_ping_replace_the_child(tmp_path: Path) -> None:
    far = Moody(tmp_path)
    async with ready(far, timeout_s=0.2) as up:
        far.mood("hangs no_ping")
        for _ in range(3):
            with pytest.raises(UpstreamTimeout):
                await up.call()
        far.mood("no_ping")
        await up.until(lambda: len(far.starts) == 2 and up.agent.state is State.READY)
        assert up.agent.failures["upstream_timeout"] == 4
        assert "upstream 'up' stopped answering" in up.reasons


async def test_three_timeouts_and_an_answered_ping_change_nothing(tmp_path: Path) -> None:
    far = Moody(tmp_path)
    async with ready(far, timeout_s=0.2) as up:
        far.mood("hangs")
        for _ in range(4):
            with pytest.raises(UpstreamTimeout):
                await up.call()
        await until(lambda: len(far.received("ping")) == 1)
        assert (len(far.starts), up.agent.state) == (1, State.READY)


async def test_an_error_is_an_answer_and_starts_the_count_of_timeouts_anew(tmp_path: Path) -> None:
    far = Moody(tmp_path)
    async with ready(far, timeout_s=0.2) as up:
        for mood in ("hangs", "hangs", "refuses", "hangs", "hangs"):
            far.mood(mood)
            with pytest.raises((UpstreamTimeout, RpcError)):
                await up.call()
        assert await up.agent.request("resources/list") is not None
        assert far.received("ping") == []


async def test_no_more_calls_run_than_the_file_allows_and_the_rest_is_refused(tmp_path: Path) -> None:
    far = Moody(tmp_path)
    async with ready(far, concurrency=2, queue=1, timeout_s=5.0) as up:
        far.mood("hangs")
        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(up.call)
            await until(lambda: len(far.received("tools/call")) == 2)
            await until(lambda: up.agent.slots.waiting == 1)
            with pytest.raises(UpstreamBusy):
                await up.call()
            assert len(far.received("tools/call")) == 2
            group.cancel_scope.cancel()


async def test_a_call_that_gets_no_place_in_time_says_so_and_is_never_sent(tmp_path: Path) -> None:
    far = Moody(tmp_path)
    async with ready(far, concurrency=1) as up:
        far.mood("hangs")
        async with anyio.create_task_group() as group:
            group.start_soon(up.call)
            await until(lambda: len(far.received("tools/call")) == 1)
            with pytest.raises(UpstreamTimeout, match=r"had no place free within 0.2 s"):
                await up.call(deadline_s=0.2)
            group.cancel_scope.cancel()
        assert len(far.received("tools/call")) == 1


async def test_a_cancelled_call_is_cancelled_upstream_and_frees_its_place(tmp_path: Path) -> None:
    far = Moody(tmp_path)
    async with ready(far, concurrency=1) as up:
        far.mood("hangs")
        async with anyio.create_task_group() as group:
            group.start_soon(up.call)
            await until(lambda: len(far.received("tools/call")) == 1)
            group.cancel_scope.cancel()
        await until(lambda: len(far.received("notifications/cancelled")) == 1)
        cancelled = far.received("notifications/cancelled")[0]
        assert cancelled["params"]["requestId"] == far.received("tools/call")[0]["id"]
        far.mood("")
        assert await up.pid() == far.starts[0]


async def test_a_call_that_kills_the_upstream_fails_at_once_and_is_not_repeated(tmp_path: Path) -> None:
    far = Moody(tmp_path)
    async with ready(far) as up:
        far.mood("dies")
        with pytest.raises(UpstreamDisconnected, match="while the call was under way"), anyio.fail_after(2):
            await up.call()
        far.mood("")
        assert await up.pid() == far.starts[1]
        assert len(far.received("tools/call")) == 2


async def test_a_call_right_after_the_end_waits_for_the_next_connection(tmp_path: Path) -> None:
    far = Moody(tmp_path)
    async with ready(far) as up:
        for _ in range(3):
            far.mood("dies")
            with pytest.raises(UpstreamDisconnected):
                await up.call()
            far.mood("")
            await up.pid()


async def test_a_call_during_an_outage_waits_for_an_attempt_that_is_near(tmp_path: Path) -> None:
    far = Moody(tmp_path, "exits")
    async with kept(far.definition(restart=RestartPolicy(5, 1.0, 1.0))) as up:
        await up.state(State.BACKOFF)
        far.mood("")
        assert await up.pid() in far.starts


async def test_a_call_during_an_outage_fails_at_once_with_the_reason_and_the_time(tmp_path: Path) -> None:
    far = Moody(tmp_path, "exits")
    async with kept(far.definition(restart=WAITS_LONG)) as up:
        await up.state(State.BACKOFF)
        with pytest.raises(UpstreamStartFailed) as failed, anyio.fail_after(1):
            await up.call()
        assert failed.value.message.startswith("upstream 'up' exited with code 4 before it was ready; retrying in ")


async def test_an_unreachable_address_is_named_with_the_time_it_has_been_down() -> None:
    async with scripted(silent) as gone:
        url = gone.url
    async with kept(defined(http(url), transport="http", restart=WAITS_LONG)) as up:
        await up.state(State.BACKOFF)
        expected = (
            r"^upstream 'up' has been down for \d s \(cannot be reached: connection refused\); retrying in \d+ s$"
        )
        with pytest.raises(UpstreamUnavailable, match=expected):
            await up.call()


async def silent(request: Request, wire: Wire) -> None:
    await anyio.sleep_forever()


async def test_a_call_to_an_upstream_that_never_gets_ready_ends_at_its_deadline(tmp_path: Path) -> None:
    far = Moody(tmp_path, "no_initialize")
    async with kept(far.definition()) as up:
        with pytest.raises(UpstreamUnavailable, match=r"was not connected within 0.3 s"):
            await up.call(deadline_s=0.3)
        assert far.received("tools/call") == []


async def test_a_call_wakes_a_parked_upstream_once_the_last_attempt_is_some_time_ago(tmp_path: Path) -> None:
    far = Moody(tmp_path, "exits")
    async with kept(far.definition(restart=PATIENT, era=Era.LEGACY)) as up:
        await up.state(State.PARKED)
        far.mood("")
        refused = 0
        with anyio.fail_after(10):
            while up.agent.link is None:
                try:
                    await up.pid()
                except UpstreamStartFailed:
                    refused += 1
                    await anyio.sleep(0.5)  # what is shown here is that time passes: a call asks every few seconds
        assert refused > 5
        assert len(far.starts) == 2


async def test_a_call_starts_a_lazy_upstream(tmp_path: Path) -> None:
    far = Moody(tmp_path)
    async with kept(far.definition(lazy=True)) as up:
        await anyio.wait_all_tasks_blocked()
        assert (far.starts, up.agent.state) == ([], State.IDLE)
        assert await up.pid() == far.starts[0]


async def test_an_unused_upstream_is_stopped_and_started_by_the_next_call(tmp_path: Path) -> None:
    far = Moody(tmp_path)
    async with ready(far, idle_stop_s=0.3) as up:
        await up.state(State.IDLE)
        assert up.agent.link is None
        assert await up.pid() == far.starts[1]


async def test_a_long_call_and_a_subscription_are_use(tmp_path: Path) -> None:
    far = Moody(tmp_path)
    async with ready(far, idle_stop_s=0.3) as up:
        assert "structuredContent" in await up.call(sink=Remembering(token="t"), progress=8)
        await up.agent.subscribe("test://x")
        with anyio.move_on_after(0.8):
            await up.state(State.IDLE)
        assert len(far.starts) == 1
        await up.agent.unsubscribe("test://x")
        await up.state(State.IDLE)


# -- HTTP --------------------------------------------------------------------------------------------------------


class Sessions:
    """A legacy Streamable HTTP server that may forget its sessions, or refuse for once."""

    def __init__(self) -> None:
        self.sessions = 0
        self.forgets_always = False
        self.refuses: int | None = None
        self.all_here: anyio.Event | None = None
        self.here = 0

    async def __call__(self, request: Request, wire: Wire) -> None:
        method = request.json.get("method") if request.body else None
        if request.verb != "POST":
            await wire.whole(405, b"")
        elif method == "server/discover":
            await wire.whole(400, b"")
        elif self.refuses is not None:
            await wire.whole(self.refuses, b"")
        elif method == "initialize":
            self.sessions += 1
            await wire.result(
                request, {"protocolVersion": "2025-11-25", "capabilities": {}}, mcp_session_id=str(self.sessions)
            )
        elif "id" not in request.json:
            await wire.whole(202, b"")
        elif request.header("mcp-session-id") != str(self.sessions) or self.forgets_always:
            await self._together()
            await wire.whole(404, b"")
        else:
            await wire.result(request, {"session": self.sessions})

    async def _together(self) -> None:
        """Hold requests until three are here, then let one go before the others."""
        if self.all_here is not None:
            self.here += 1
            if self.here == 3:
                self.all_here.set()
            else:
                await self.all_here.wait()
                await anyio.sleep(0.05 * self.here)

    def forget(self) -> None:
        self.sessions += 1


@asynccontextmanager
async def over_http(script: Sessions, **more: Any) -> AsyncIterator[tuple[ScriptedServer, Watched]]:
    async with scripted(script) as server, kept(defined(http(server.url), transport="http", **more)) as up:
        await up.ready()
        yield server, up


async def test_a_forgotten_session_costs_one_new_session_and_one_retry() -> None:
    script = Sessions()
    async with over_http(script) as (server, up):
        script.forget()
        assert (await up.call())["session"] == 3
        assert len(server.calls("tools/call")) == 2
        assert up.agent.failures == {}


async def test_several_calls_that_meet_a_forgotten_session_are_all_repeated_over_one_new_one() -> None:
    script = Sessions()
    async with over_http(script) as (server, up):
        script.forget()
        script.all_here = anyio.Event()
        answers: list[Any] = []

        async def call() -> None:
            answers.append((await up.call())["session"])

        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(call)
        assert answers == [3, 3, 3]
        assert len(server.calls("tools/call")) == 6


async def test_a_server_that_forgets_every_session_is_asked_twice_and_no_more() -> None:
    script = Sessions()
    async with over_http(script) as (server, up):
        script.forgets_always = True
        with pytest.raises(UpstreamDisconnected):
            await up.call()
        assert len(server.calls("tools/call")) == 2


async def test_credentials_refused_in_mid_session_are_told_and_shown_in_the_state() -> None:
    script = Sessions()
    async with over_http(script) as (server, up):
        script.refuses = 401
        with pytest.raises(UpstreamAuth):
            await up.call()
        await up.state(State.NEEDS_AUTH)
        requests = len(server.requests)
        for _ in range(3):
            with pytest.raises(UpstreamAuth):
                await up.call()
        assert len(server.requests) == requests


@pytest.mark.parametrize("status", [403, 500])
async def test_a_status_that_may_concern_one_call_alone_changes_no_state(status: int) -> None:
    script = Sessions()
    async with over_http(script) as (_, up):
        script.refuses = status
        with pytest.raises((UpstreamAuth, UpstreamUnavailable)):
            await up.call()
        script.refuses = None
        assert (await up.call())["session"] == 1
        assert up.states[-1] is State.READY


async def test_an_http_server_that_went_away_is_shown_as_such_and_found_again_by_calls() -> None:
    async with AsyncExitStack() as life:
        server = await life.enter_async_context(scripted(Sessions()))
        async with kept(defined(http(server.url), transport="http")) as up:
            await up.ready()
            await life.aclose()
            with pytest.raises((UpstreamUnavailable, UpstreamDisconnected)):
                await up.call()
            await up.until(lambda: up.agent.link is None)
            assert up.agent.failures["upstream_unavailable"] >= 1
