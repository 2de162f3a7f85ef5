"""The bell wire: everybody who subscribed hears everything, whatever the others do."""

from __future__ import annotations

import pytest
from mcp_gateway.events import Event, Events, OfferChanged, ServerStateChanged


def test_every_listener_hears_every_event_in_order() -> None:
    events, first, second = Events(), list[Event](), list[Event]()
    events.subscribe(first.append)
    events.subscribe(second.append)
    rung: list[Event] = [ServerStateChanged("time", "ready"), OfferChanged("time")]

    for event in rung:
        events.publish(event)

    assert first == second == rung


def test_who_has_left_hears_no_more() -> None:
    events, heard = Events(), list[Event]()
    leave = events.subscribe(heard.append)

    leave()
    events.publish(OfferChanged("time"))

    assert heard == []


def test_a_failing_listener_is_logged_and_the_others_still_hear(caplog: pytest.LogCaptureFixture) -> None:
    def fail(event: Event) -> None:
        raise RuntimeError("no bell")

    events, heard = Events(), list[Event]()
    events.subscribe(fail)
    events.subscribe(heard.append)

    events.publish(OfferChanged("time"))

    assert heard == [OfferChanged("time")]
    assert "events.listener_failed event=OfferChanged" in caplog.text


def test_a_listener_may_leave_while_the_bell_rings() -> None:
    events, heard = Events(), list[Event]()
    leaving = events.subscribe(lambda event: leaving())
    events.subscribe(heard.append)

    events.publish(OfferChanged("time"))
    events.publish(OfferChanged("git"))

    assert heard == [OfferChanged("time"), OfferChanged("git")]
