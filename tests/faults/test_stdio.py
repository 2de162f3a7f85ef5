"""Faults of child processes: nobody else is disturbed, and the call ends as promised (docs/reliability.md)."""

from __future__ import annotations

from operator import attrgetter

import pytest

from tests.faults.cases import Case, of
from tests.faults.trial import Trial


@pytest.mark.parametrize("case", of("stdio"), ids=attrgetter("name"))
def test_a_fault_ends_its_own_call_as_promised_and_nothing_else(case: Case, trial: Trial) -> None:
    assert trial.misses(case) == []


def test_all_faults_together_delay_neither_start_nor_stop_and_leave_nothing(trial: Trial) -> None:
    assert trial.misses_of_the_whole() == []
