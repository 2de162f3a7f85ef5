"""When alerts begin and end: once each."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp_gateway.events import ServerStateChanged
from mcp_gateway.observe.alerts import DOWN_AFTER_S, MAX_CALLS, MIN_CALLS, MIN_FREE_BYTES, Alert, AlertRules, Alerts
from mcp_gateway.observe.reading import Ending, Reading

from tests.fakes.clock import Clock
from tests.observe.calls import ended
from tests.observe.test_metrics import READING

CALM = replace(READING, states={"up": "ready"}, unrecorded=0)

NOW, HOUR_S, DAY_S = 1_800_000_000.0, 3600.0, 86_400.0


class Watch:
    """Alerts about a reading that the test changes, and what they told."""

    def __init__(self, **rules: Any) -> None:
        self.clock = Clock(1000.0)
        self.reading: Reading = CALM
        self.told: list[Alert] = []
        self.alerts = Alerts(
            AlertRules(**rules),
            lambda: self.reading,
            self.told.append,
            Path("/nowhere/at/all"),
            clock=self.clock,
            today=lambda: NOW + self.clock() - 1000.0,
        )

    def see(self, free_bytes: int | None = None, **changes: Any) -> list[tuple[str, str, str | None]]:
        """What is told of a reading."""
        self.reading = replace(self.reading, **changes)
        self.told.clear()
        self.alerts.check(free_bytes)
        return [(alert.name, alert.phase.value, alert.server) for alert in self.told]

    def states(self, *states: str) -> list[list[tuple[str, str, str | None]]]:
        return [self.see(states={"up": state}) for state in states]

    def calls(self, *outcomes: str, duration_s: float = 0.1, server: str | None = "up") -> None:
        for outcome in outcomes:
            self.alerts.hear(ended(server=server, outcome=outcome, duration_s=duration_s))


FIRING, RESOLVED = ("upstream_down", "firing", "up"), ("upstream_down", "resolved", "up")


@pytest.mark.parametrize("state", ["parked", "needs_auth"])
def test_a_server_that_is_down_is_told_once_and_its_recovery_once(state: str) -> None:
    told = Watch().states("ready", state, state, "connecting", state, "connecting", "ready", "ready")

    assert told == [[], [FIRING], [], [], [], [], [RESOLVED], []]


def test_a_server_that_is_redialled_is_told_of_only_after_a_while() -> None:
    watch = Watch()
    assert watch.states("backoff", "connecting", "backoff") == [[], [], []]
    watch.clock.advance(DOWN_AFTER_S)
    assert watch.states("backoff", "idle") == [[FIRING], [RESOLVED]]


def test_a_server_that_leaves_the_configuration_is_down_no_more() -> None:
    watch = Watch()
    watch.states("parked")

    assert watch.see(states={}) == [RESOLVED]
    assert watch.alerts.firing == {}


def test_the_share_of_failing_calls_within_the_window_counts() -> None:
    watch = Watch(error_rate=0.5, window_s=60.0)
    watch.calls(*["ok"] * 5, *["upstream_timeout"] * 4)
    assert watch.see() == []  # nine calls say nothing
    watch.calls("tool_error")
    assert watch.see() == [("error_rate", "firing", "up")]
    assert "50% of the last 10 calls to 'up'" in watch.told[0].text
    watch.clock.advance(61)
    assert watch.see() == [("error_rate", "resolved", "up")]


def test_what_callers_do_wrong_is_not_the_servers_failure() -> None:
    watch = Watch()
    watch.calls(*["invalid_params", "unknown_name", "cancelled"] * MIN_CALLS)
    watch.calls(*["internal_error"] * MIN_CALLS, server=None)

    assert watch.see() == []


def test_latency_is_watched_where_it_has_a_limit() -> None:
    watch, careless = Watch(latency_s=1.0), Watch()
    for each in (watch, careless):
        each.calls(*["ok"] * 18)
        each.calls("ok", "ok", duration_s=2.0)

    assert watch.see() == [("latency", "firing", "up")]
    assert careless.see() == []


def test_a_limit_that_is_just_kept_again_does_not_end_an_alert() -> None:
    watch = Watch(memory_bytes=1000)
    told = [watch.see(memory_bytes=taken) for taken in (1000, 1001, 990, 1001, 900)]

    assert told == [[], [("memory", "firing", None)], [], [], [("memory", "resolved", None)]]


def test_a_cache_without_its_disk_and_a_full_disk_are_told() -> None:
    watch = Watch()

    assert watch.see(cache_state="down") == [("cache_off", "firing", None)]
    assert watch.see(cache_state="ok", free_bytes=MIN_FREE_BYTES - 1) == [
        ("disk", "firing", None),
        ("cache_off", "resolved", None),
    ]
    assert watch.see(record_failure="No space left on device") == []
    assert watch.see(record_failure=None, free_bytes=MIN_FREE_BYTES) == [("disk", "resolved", None)]


def test_what_is_remembered_of_calls_is_bounded() -> None:
    watch = Watch()
    watch.calls(*["tool_error"] * MAX_CALLS, *["ok"] * MAX_CALLS)

    assert watch.see() == []


def test_every_change_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    Watch().states("parked", "ready")

    lines = [(line.levelname, line.message) for line in caplog.records]
    assert lines == [
        ("WARNING", "alert.firing alert=upstream_down server=up text=\"upstream 'up' is parked\""),
        ("INFO", "alert.resolved alert=upstream_down server=up text='is over'"),
    ]


def test_an_alert_is_plain_data() -> None:
    watch = Watch()
    watch.states("parked")
    plain = watch.told[0].plain()

    assert plain.pop("at").endswith("+00:00")
    assert plain == {
        "alert": "upstream_down",
        "state": "firing",
        "server": "up",
        "text": "upstream 'up' is parked",
    }


async def test_a_changed_state_is_looked_at_at_once_and_the_rest_in_time() -> None:
    watch = Watch()
    watch.alerts.every_s = 1000.0
    told = anyio.Event()

    def tell(alert: Alert) -> None:
        watch.told.append(alert)
        told.set()

    alerts = Alerts(AlertRules(), lambda: watch.reading, tell, Path("/nowhere/at/all"))
    alerts.every_s = 1000.0
    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(alerts.run)
            await anyio.wait_all_tasks_blocked()
            watch.reading = replace(CALM, states={"up": "parked"})
            alerts.hear(ServerStateChanged("up", "parked"))
            await told.wait()
            told = anyio.Event()
            group.cancel_scope.cancel()
        async with anyio.create_task_group() as group:
            alerts.every_s = 0.01
            group.start_soon(alerts.run)
            watch.reading = CALM
            await told.wait()
            group.cancel_scope.cancel()

    assert [alert.phase.value for alert in watch.told] == ["firing", "resolved"]


def login(lasts_s: float | None, ends_in_s: float, server: str = "up") -> Ending:
    return Ending(NOW + ends_in_s, lasts_s, f"the login of upstream '{server}'", "log in again", server=server)


def key(name: str, ends_in_s: float) -> Ending:
    return Ending(NOW + ends_in_s, None, f"the API key '{name}'", "replace it", key=name)


def test_a_login_near_its_end_is_told_of_until_there_is_one_that_lasts() -> None:
    watch = Watch()
    assert watch.see(endings=(login(30 * DAY_S, 3 * DAY_S + 60),)) == []
    watch.clock.advance(61)
    assert watch.see() == [("login_expiring", "firing", "up")]
    assert watch.told[0].text == "the login of upstream 'up' ends at 2027-01-18 08:01 UTC; log in again"
    watch.clock.advance(4 * DAY_S)
    assert watch.see() == []  # it has ended, which is no recovery
    assert watch.see(endings=()) == [("login_expiring", "resolved", "up")]


def test_what_lives_shortly_is_told_of_in_the_last_part_of_its_life() -> None:
    watch = Watch()
    assert watch.see(endings=(login(HOUR_S, HOUR_S),)) == []
    watch.clock.advance(HOUR_S * 0.76)
    assert watch.see() == [("login_expiring", "firing", "up")]


def test_each_key_near_its_end_is_told_of_by_its_name() -> None:
    watch = Watch(expiry_s=DAY_S)
    watch.see(endings=(key("ci", HOUR_S), key("late", 2 * DAY_S)))
    assert [alert.plain().get("key") for alert in watch.told] == ["ci"]
    watch.clock.advance(DAY_S)
    watch.see()
    assert [alert.plain().get("key") for alert in watch.told] == ["late"]


def test_nothing_that_ends_is_told_of_where_nobody_wants_to_know_or_its_server_is_gone() -> None:
    careless, watch = Watch(expiry_s=None), Watch()

    assert careless.see(endings=(login(DAY_S, 1.0), key("ci", 1.0))) == []
    assert watch.see(endings=(login(DAY_S, 1.0, "other"),)) == []
