"""How often a polled limit is looked at."""

from __future__ import annotations

import pytest
from mcp_gateway.sandbox.supervisor.pace import Pace


def test_cheap_look_is_repeated_after_the_shortest_pause() -> None:
    pace = Pace(0.02, now_s=0.0)
    pace.looked(0.0, began_s=1.0, ended_s=1.001)
    assert pace.next_s == pytest.approx(1.021)


def test_costly_look_is_repeated_after_ten_times_its_cost() -> None:
    pace = Pace(0.02, now_s=0.0)
    pace.looked(0.0, began_s=1.0, ended_s=2.0)
    assert pace.next_s == pytest.approx(12.0)


def test_full_but_steady_run_is_looked_at_no_more_often() -> None:
    pace = Pace(0.02, now_s=0.0)
    pace.looked(0.9, began_s=1.0, ended_s=1.01)
    pace.looked(0.9, began_s=2.0, ended_s=2.01)
    assert pace.next_s == pytest.approx(2.11)


def test_limit_that_comes_near_is_looked_at_in_a_quarter_of_the_time_left() -> None:
    pace = Pace(1.0, now_s=0.0)
    pace.looked(0.5, began_s=1.0, ended_s=1.0)
    assert pace.next_s == pytest.approx(1.25)


def test_hurry_has_a_bound() -> None:
    pace = Pace(1.0, now_s=0.0)
    pace.looked(2.0, began_s=1.0, ended_s=1.0)
    assert pace.next_s == pytest.approx(1.004)
