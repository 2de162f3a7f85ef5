"""The life of a kept connection: backing off, parking, healing, reconnecting."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp_gateway.errors import GatewayError, RpcError, UpstreamDisconnected, UpstreamRemoved
from mcp_gateway.upstream.agent import MCPAgent
from mcp_gateway.upstream.lifecycle import RestartPolicy, State
from mcp_gateway.upstream.session import Era, Session

from tests.upstream.dispatch.pipes import until
from tests.upstream.keeping import EAGER, Moody, Watched, kept

WISHES = ("logging/setLevel", "resources/subscribe", "resources/unsubscribe")


async def test_a_failing_upstream_backs_off_and_is_parked_after_too_many_failures(tmp_path: Path) -> None:
    far = Moody(tmp_path, "exits")
    async with kept(far.definition(era=Era.LEGACY)) as up:
        await up.state(State.PARKED)
        assert up.states == [State.CONNECTING, State.BACKOFF] * EAGER.max_failures + [State.CONNECTING, State.PARKED]
        assert up.agent.lifecycle.next_attempt_s - time.monotonic() > 50


async def test_a_child_that_is_killed_is_replaced_and_its_offer_read_anew(tmp_path: Path) -> None:
    far = Moody(tmp_path)
    async with kept(far.definition()) as up:
        await up.ready()
        os.kill(await up.pid(), 9)
        await up.until(lambda: len(up.readings) == 2)
        await up.ready()
        assert "upstream 'up' was ended by SIGKILL" in up.reasons


@pytest.mark.parametrize("mood", ["exits", "fails_tools fails_prompts fails_resources", "dies"])
async def test_calls_bring_a_healed_upstream_back_within_seconds(tmp_path: Path, mood: str) -> None:
    far = Moody(tmp_path, mood)
    async with kept(far.definition(restart=RestartPolicy())) as up:
        for _ in range(20):
            with pytest.raises(GatewayError), anyio.fail_after(10):
                await up.call()
        far.mood("")
        with anyio.fail_after(15):
            while True:
                try:
                    await up.call()
                except GatewayError:
                    await anyio.sleep(0.5)  # what is shown is that time passes: a client that tries again
                else:
                    break


async def test_reconnecting_replaces_a_working_connection(tmp_path: Path) -> None:
    far = Moody(tmp_path)
    async with kept(far.definition()) as up:
        await up.ready()
        before = await up.pid()
        up.agent.reconnect()
        assert await up.pid() != before
        assert up.agent.failures == {}


async def test_reconnecting_gives_up_an_attempt_that_hangs(tmp_path: Path) -> None:
    far = Moody(tmp_path, "no_initialize")
    async with kept(far.definition()) as up:
        await until(lambda: "initialize" in far.methods())
        far.mood("")
        up.agent.reconnect()
        await up.ready(5)
        assert len(far.starts) == 2


async def test_reconnecting_wakes_a_parked_upstream_at_once(tmp_path: Path) -> None:
    far = Moody(tmp_path, "exits")
    async with kept(far.definition(restart=RestartPolicy(0, 0.1, 0.1), lazy=True)) as up:
        with pytest.raises(GatewayError):
            await up.call()
        await up.state(State.PARKED)
        far.mood("")
        up.agent.reconnect()
        await up.ready()


async def test_calls_in_flight_end_when_the_connection_is_replaced(tmp_path: Path) -> None:
    far = Moody(tmp_path)
    async with kept(far.definition()) as up:
        await up.ready()
        far.mood("hangs")
        async with anyio.create_task_group() as group:
            group.start_soon(expect_disconnect, up)
            await until(lambda: len(far.received("tools/call")) == 1)
            up.agent.reconnect()


async def expect_disconnect(up: Watched) -> None:
    with pytest.raises(UpstreamDisconnected):
        await up.call()


async def test_subscriptions_and_log_level_are_made_again_after_a_reconnect(tmp_path: Path) -> None:
    far = Moody(tmp_path)
    async with kept(far.definition()) as up:
        await up.ready()
        await up.agent.subscribe("test://a")
        await up.agent.subscribe("test://b")
        await up.agent.unsubscribe("test://b")
        await up.agent.set_log_level("warning")
        before = len(far.messages())
        up.agent.reconnect()
        await until(lambda: "resources/subscribe" in far.methods()[before:])
        told = [message for message in far.messages()[before:] if message["method"] in WISHES]
        assert [message["params"] for message in told] == [{"level": "warning"}, {"uri": "test://a"}]


async def test_a_subscription_during_an_outage_is_made_when_the_upstream_is_back(tmp_path: Path) -> None:
    far = Moody(tmp_path, "exits")
    async with kept(far.definition(restart=RestartPolicy(5, 1e6, 1e6))) as up:
        await up.state(State.BACKOFF)
        await up.agent.subscribe("test://a")
        far.mood("")
        up.agent.reconnect()
        await until(lambda: len(far.received("resources/subscribe")) == 1)


async def test_a_refused_subscription_is_not_made_again(tmp_path: Path) -> None:
    far = Moody(tmp_path, "modern_only")
    async with kept(far.definition()) as up:
        await up.ready()
        with pytest.raises(RpcError, match="does not offer resource subscriptions"):
            await up.agent.subscribe("test://a")
        assert up.agent.subscribed == set()


async def test_a_fault_of_ours_costs_one_connection_and_not_the_keeper(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    far = Moody(tmp_path)
    watcher = Stumbling()
    definition = far.definition()
    watcher.agent = MCPAgent(definition, watcher=watcher, memory=Remembered(), capabilities={})
    async with anyio.create_task_group() as group:
        group.start_soon(watcher.agent.run)
        await watcher.ready()
        assert watcher.agent.failures == {"internal_error": 1}
        assert "upstream.keeper_failed" in caplog.text
        group.cancel_scope.cancel()


class Remembered:
    """The memory of a legacy upstream."""

    def recall(self) -> Era:
        return Era.LEGACY

    def remember(self, era: Era) -> None:
        return


class Stumbling(Watched):
    """A watcher that fails once."""

    def offer_read(self, agent: MCPAgent, session: Session, parts: Any) -> None:
        self.readings.append(parts)
        assert len(self.readings) > 1, "stumbled"


async def test_a_call_after_the_keeper_has_gone_is_told_so(tmp_path: Path) -> None:
    async with kept(Moody(tmp_path).definition()) as up:
        await up.ready()
    with pytest.raises(UpstreamRemoved):
        await up.call()


async def test_a_secret_that_an_upstream_quotes_is_taken_out_of_the_reason(tmp_path: Path) -> None:
    far = Moody(tmp_path, "modern_only")
    redact: Any = lambda text: text.replace("Method", "***")  # noqa: E731 - one line is all it is
    async with kept(far.definition(era=Era.LEGACY, redact=redact)) as up:
        await up.state(State.BACKOFF)
        assert up.agent.reason == "upstream 'up' refused the handshake: *** not found"


async def test_the_session_is_known_also_while_there_is_no_connection(tmp_path: Path) -> None:
    far = Moody(tmp_path)
    async with kept(far.definition(idle_stop_s=0.2)) as up:
        await up.ready()
        await up.state(State.IDLE)
        assert up.agent.session is not None
        assert up.agent.session.revision == "2025-11-25"
