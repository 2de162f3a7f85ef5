"""What the gateway sends to a server passes the client scenarios of the public suite."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conformance.client_face import SCENARIOS, run_client_scenario

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("revision", "name"), [(revision, name) for revision, names in SCENARIOS.items() for name in names]
)
def test_what_the_gateway_sends_satisfies_the_suite(revision: str, name: str, tmp_path: Path) -> None:
    outcome = run_client_scenario(name, revision, tmp_path / "results")

    assert outcome.complaints == ()
    assert outcome.passed
