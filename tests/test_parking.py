"""States that wait for a person between two requests."""

from __future__ import annotations

from typing import Any

import pytest
from mcp_gateway.errors import InvalidRequestState
from mcp_gateway.parking import KEEP_S, Parking, state_of, subject_of
from mcp_gateway.wire import Raw

from tests.fakes.clock import Clock

SUBJECT = subject_of("tools/call", ("up", "tool"), {"a": 1})


def test_a_state_is_taken_once_by_its_owner() -> None:
    parking = Parking[str]()
    text = parking.park("ann", SUBJECT, "state")
    with pytest.raises(InvalidRequestState):
        parking.take(text, "bob", SUBJECT)
    assert parking.take(text, "ann", SUBJECT) == "state"
    with pytest.raises(InvalidRequestState):
        parking.take(text, "ann", SUBJECT)


@pytest.mark.parametrize(
    "other",
    [
        subject_of("tools/call", ("up", "tool"), {"a": 2}),
        subject_of("tools/call", ("up", "other"), {"a": 1}),
        subject_of("prompts/get", ("up", "tool"), {"a": 1}),
    ],
)
def test_a_state_belongs_to_one_request(other: bytes) -> None:
    parking = Parking[str]()
    text = parking.park("ann", SUBJECT, "state")
    with pytest.raises(InvalidRequestState):
        parking.take(text, "ann", other)
    assert parking.take(text, "ann", subject_of("tools/call", ("up", "tool"), Raw(b'{ "a": 1 }'))) == "state"


@pytest.mark.parametrize("text", [None, 7, "", "x" * 100, {"a": 1}])
def test_what_is_no_state_takes_nothing(text: Any) -> None:
    with pytest.raises(InvalidRequestState):
        Parking[str]().take(text, "ann", SUBJECT)


def test_a_state_does_not_wait_for_ever() -> None:
    clock = Clock()
    parking = Parking[str](clock=clock)
    text = parking.park("ann", SUBJECT, "state")
    clock.now += KEEP_S
    with pytest.raises(InvalidRequestState):
        parking.take(text, "ann", SUBJECT)


def test_what_is_too_old_makes_room() -> None:
    clock = Clock()
    parking = Parking[str](places=1, clock=clock)
    parking.park("ann", SUBJECT, "state")
    assert not parking.has_room("bob")
    clock.now += KEEP_S
    assert parking.has_room("bob")
    assert len(parking) == 0


def test_the_oldest_makes_room() -> None:
    parking = Parking[int](places=2)
    texts = [parking.park("ann", SUBJECT, number) for number in range(3)]
    with pytest.raises(InvalidRequestState):
        parking.take(texts[0], "ann", SUBJECT)
    assert parking.take(texts[1], "ann", SUBJECT) == 1


def test_one_owner_pushes_out_nobody_else() -> None:
    parking = Parking[str](places=3, of_owner=2)
    first = parking.park("ann", SUBJECT, "ann's")
    parking.park("bob", SUBJECT, "old")
    assert parking.has_room("bob")
    parking.park("bob", SUBJECT, "new")
    assert not parking.has_room("bob")
    parking.park("bob", SUBJECT, "newest")
    assert parking.take(first, "ann", SUBJECT) == "ann's"


@pytest.mark.parametrize(
    ("params", "state"),
    [({}, None), ({"requestState": "x"}, "x"), ({"requestState": Raw(b'"x"')}, "x"), ({"requestState": Raw(b"{")}, "")],
)
def test_the_state_of_a_request_is_read_however_it_came(params: dict[str, Any], state: object) -> None:
    assert state_of(params) == state
