"""What passes against the server passes through the gateway too: every server scenario of the public suite."""

from __future__ import annotations

import pytest

from tests.conformance.server_face import Measured, Way, measure
from tests.conformance.suite import REVISIONS
from tests.conformance.table import claims, read

pytestmark = pytest.mark.slow

NOT_KEPT = {
    # Scenario -> the checks that end worse than directly, and may: an answer without a stream has none to take up
    # again (`Last-Event-ID`, which is optional), and the other streams do not offer it. The suite does not score it.
    "server-sse-polling": {"server-sse-priming-event", "server-sse-retry-field", "server-sse-disconnect-resume"},
}

BEYOND_OLD_SERVERS = {
    "input-required-result-basic-elicitation": "a question of an older server has no name; the suite wants user_name",
    "input-required-result-multiple-input-requests": "an older server asks one question after the other",
    "server-stateless": "an older server knows no -32021",
}
"""What a client of 2026-07-28 may miss with a server from before, and why."""


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Measured:
    return measure(tmp_path_factory.mktemp("conformance"))


@pytest.mark.parametrize("revision", REVISIONS)
def test_whatever_passes_directly_passes_through_the_gateway(measured: Measured, revision: str) -> None:
    direct, through = measured[revision][Way.DIRECT], measured[revision][Way.THROUGH]
    assert len(direct) >= 27, "the suite has at least that many scenarios for each of these revisions"
    assert direct.keys() == through.keys()

    worse = {name: through[name].worse_than(outcome) for name, outcome in direct.items()}
    complaints = {
        name: (checks, through[name].complaints)
        for name, checks in worse.items()
        if {check.partition(":")[0] for check in checks} - NOT_KEPT.get(name, set())
    }
    assert complaints == {}


@pytest.mark.parametrize("revision", REVISIONS)
def test_a_server_from_before_2026_07_28_is_as_good_for_clients_of_its_time(measured: Measured, revision: str) -> None:
    direct, handshake = measured[revision][Way.DIRECT], measured[revision][Way.HANDSHAKE]
    excused = BEYOND_OLD_SERVERS if revision == "2026-07-28" else {}

    failed = {
        name: handshake[name].complaints
        for name, outcome in direct.items()
        if outcome.passed and not handshake[name].passed and name not in excused
    }
    assert failed == {}


def test_every_success_that_the_manual_claims_is_one(measured: Measured) -> None:
    claimed = claims(read())
    assert claimed.keys() == {(name, revision) for revision, ways in measured.items() for name in ways[Way.DIRECT]}

    false = [
        (name, revision, way.value)
        for (name, revision), marks in claimed.items()
        for way, mark in zip(Way, marks, strict=True)
        if mark and not measured[revision][way][name].passed
    ]
    assert false == []
