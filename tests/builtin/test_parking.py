"""Asks that wait for a person."""

from __future__ import annotations

from mcp_gateway.builtin.parking import KEEP_S, PLACES, Parking

from tests.fakes.clock import Clock


def test_a_state_is_taken_once_by_its_owner() -> None:
    parking = Parking[str]()
    id = parking.park("ann", "state")
    assert parking.take(id, "bob") is None
    assert parking.take(id, "ann") == "state"
    assert parking.take(id, "ann") is None


def test_a_state_does_not_wait_for_ever() -> None:
    clock = Clock()
    parking = Parking[str](clock)
    id = parking.park("ann", "state")
    clock.now += KEEP_S
    assert parking.take(id, "ann") is None


def test_the_oldest_makes_room() -> None:
    parking = Parking[int]()
    ids = [parking.park("ann", number) for number in range(PLACES + 1)]
    assert [parking.take(ids[0], "ann"), parking.take(ids[1], "ann")] == [None, 1]
