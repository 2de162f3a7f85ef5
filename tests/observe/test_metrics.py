"""Figures for Prometheus, read back with the library's own parser."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import anyio
import pytest
from mcp_gateway.events import OfferChanged, ServerStateChanged
from mcp_gateway.observe.metrics import Metrics
from mcp_gateway.observe.reading import Reading
from prometheus_client.parser import text_string_to_metric_families

from tests.observe.calls import ended

READING = Reading(
    states={"up": "ready", "down": "parked"},
    all_states=("ready", "parked"),
    sessions={"http": 2},
    in_flight=3,
    cache_hits=5,
    cache_misses=7,
    cache_entries=11,
    cache_bytes=13,
    cache_state="ok",
    unrecorded=17,
    record_failure=None,
    memory_bytes=2**20,
)


class Box:
    """Metrics of some servers, and what they show."""

    def __init__(self, *names: str) -> None:
        self.names = set(names)
        self.reading = READING
        self.metrics = Metrics(lambda: self.names, lambda: self.reading)

    def value(self, name: str, **labels: str) -> float | None:
        """None where there is no such sample."""
        return self.shown().get((name, tuple(sorted(labels.items()))))

    def shown(self) -> Mapping[tuple[str, tuple[tuple[str, str], ...]], float]:
        text = self.metrics.render("")[0].decode()
        return {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }


def test_calls_are_counted_by_server_method_and_outcome() -> None:
    box = Box("up")
    for outcome in ("ok", "ok", "upstream_timeout"):
        box.metrics.hear(ended(outcome=outcome))
    box.metrics.hear(OfferChanged("up"))

    assert box.value("mcp_gateway_calls_total", server="up", method="tools/call", outcome="ok") == 2
    assert box.value("mcp_gateway_calls_total", server="up", method="tools/call", outcome="upstream_timeout") == 1


def test_durations_fall_into_buckets() -> None:
    box = Box("up")
    for duration_s in (0.004, 0.2, 100.0):
        box.metrics.hear(ended(duration_s=duration_s))

    buckets = {
        le: box.value("mcp_gateway_call_duration_seconds_bucket", server="up", le=le) for le in ("0.005", "0.25")
    }
    assert buckets == {"0.005": 1, "0.25": 2}
    assert box.value("mcp_gateway_call_duration_seconds_count", server="up") == 3


def test_strangers_make_no_labels() -> None:
    box = Box("up")
    for number in range(1000):
        box.metrics.hear(ended(server=f"s{number}", method=f"m{number}", outcome=f"o{number}"))
        box.metrics.hear(ServerStateChanged(f"s{number}", "ready"))
    before = len(box.shown())
    box.metrics.hear(ended(server="another", method="another", outcome="another"))

    assert box.value("mcp_gateway_calls_total", server="other", method="other", outcome="other") == 1001
    assert len(box.shown()) == before


def test_what_the_gateway_does_itself_has_no_server_and_runs_are_counted() -> None:
    box = Box("up")
    box.metrics.hear(ended(server=None, tool="execute"))
    box.metrics.hear(ended(server=None, tool="sysinfo"))
    box.metrics.hear(ended(server="up", tool="execute"))

    assert box.value("mcp_gateway_calls_total", server="-", method="tools/call", outcome="ok") == 2
    assert box.value("mcp_gateway_sandbox_runs_total", outcome="ok") == 1


def test_the_first_connection_is_no_reconnection() -> None:
    box = Box("up")
    for state in ("connecting", "ready", "backoff", "connecting", "ready"):
        box.metrics.hear(ServerStateChanged("up", state))

    assert box.value("mcp_gateway_upstream_reconnects_total", server="up") == 1


def test_a_server_that_has_left_the_configuration_is_forgotten() -> None:
    box = Box("up", "old")
    for server in ("up", "old"):
        box.metrics.hear(ServerStateChanged(server, "ready"))
        box.metrics.hear(ServerStateChanged(server, "ready"))
        box.metrics.hear(ended(server=server))
    box.names.remove("old")

    named = {dict(labels).get("server") for name, labels in box.shown() if name != "mcp_gateway_upstream_state"}
    assert named == {"up", None}
    box.metrics.hear(ended(server="old"))
    assert box.value("mcp_gateway_call_duration_seconds_count", server="other") == 1


def test_what_is_true_now_is_read_when_asked() -> None:
    box = Box("up")
    first = box.value("mcp_gateway_in_flight")
    box.reading = replace(READING, in_flight=4)

    assert (first, box.value("mcp_gateway_in_flight")) == (3, 4)
    assert box.value("mcp_gateway_upstream_state", server="down", state="parked") == 1
    assert box.value("mcp_gateway_upstream_state", server="down", state="ready") == 0
    assert box.value("mcp_gateway_sessions", door="http") == 2
    assert box.value("mcp_gateway_cache_hits_total") == 5
    assert box.value("mcp_gateway_cache_bytes") == 13
    assert box.value("process_resident_memory_bytes") == 2**20


def test_two_gateways_in_one_process_share_nothing() -> None:
    one, other = Box("up"), Box("up")
    one.metrics.hear(ended())

    assert other.value("mcp_gateway_calls_total", server="up", method="tools/call", outcome="ok") is None


@pytest.mark.parametrize(
    ("accept", "content_type", "end"),
    [
        ("", "text/plain; version=0.0.4; charset=utf-8", "\n"),
        ("application/openmetrics-text; version=1.0.0", "application/openmetrics-text; version=1.0.0", "# EOF\n"),
    ],
)
def test_both_forms_are_given(accept: str, content_type: str, end: str) -> None:
    body, given = Box("up").metrics.render(accept)

    assert given.startswith(content_type)
    assert body.decode().endswith(end)


async def test_the_event_loops_lag_is_taken() -> None:
    box = Box("up")
    box.metrics.lag_every_s = 0.01
    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(box.metrics.run)
            while not box.value("mcp_gateway_event_loop_lag_seconds_count"):  # noqa: ASYNC110 - a figure tells nobody
                await anyio.sleep(0.01)
            group.cancel_scope.cancel()
