"""Topics of the WebSocket: who hears what."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from mcp_gateway.call import Client
from mcp_gateway.downstream.topics import QUEUE, TOPICS, Subscriptions, Topic
from mcp_gateway.errors import Forbidden, InvalidParams
from mcp_gateway.events import CatalogChanged, OfferChanged, ServerStateChanged
from mcp_gateway.security.principal import Grant, Principal

from tests.interaction.house import House
from tests.interaction.sockets import code_of, socket

READER = Principal("key:reader", frozenset({"read"}), Grant(deny_servers=("secret",)))


@pytest.fixture
async def reader(shared: House) -> AsyncIterator[Subscriptions]:
    subscriptions = Subscriptions(shared.app.gateway, Client("me", principal=READER))
    unsubscribe = shared.app.events.subscribe(subscriptions.hear)
    yield subscriptions
    unsubscribe()


async def told(subscriptions: Subscriptions) -> tuple[Any, dict[str, Any]]:
    id, data = await subscriptions.next()
    data.pop("timestamp")
    return id, data


async def test_events_come_in_order_under_the_id_of_their_subscription(shared: House, reader: Subscriptions) -> None:
    reader.change("s", ["servers"], True)
    reader.change(2, ["catalog"], True)
    shared.app.events.publish(ServerStateChanged("up", "backoff", "refused"))
    shared.app.events.publish(CatalogChanged(frozenset({"tools", "prompts"})))

    assert await told(reader) == ("s", {"topic": "servers", "server": "up", "state": "backoff", "reason": "refused"})
    assert await told(reader) == (2, {"topic": "catalog", "kinds": ["prompts", "tools"]})


async def test_what_is_not_wanted_or_not_seen_is_not_heard(shared: House, reader: Subscriptions) -> None:
    reader.change(1, ["servers", "catalog"], True)
    reader.change(1, ["catalog"], False)
    for event in (
        ServerStateChanged("secret", "ready"),
        CatalogChanged(frozenset({"tools"})),
        OfferChanged("up"),
        ServerStateChanged("up", "ready"),
    ):
        shared.app.events.publish(event)

    assert (await told(reader))[1]["server"] == "up"
    assert reader.change(1, ["servers"], False) == []


async def test_who_reads_slowly_misses_the_oldest(shared: House, reader: Subscriptions) -> None:
    reader.change(1, ["servers"], True)
    for number in range(QUEUE + 3):
        shared.app.events.publish(ServerStateChanged("up", str(number)))

    assert (await told(reader))[1]["state"] == "3"
    assert reader.dropped == 3


async def test_one_topic_there_is_not_refuses_them_all(reader: Subscriptions) -> None:
    with pytest.raises(InvalidParams, match="catalog"):
        reader.change(1, ["servers", "secrets"], True)

    assert reader.change(1, [], True) == []


async def test_topics_need_their_scopes(shared: House) -> None:
    nobody = Subscriptions(shared.app.gateway, Client("me", principal=Principal("key:x", frozenset({"call"}))))
    for topic in TOPICS:
        with pytest.raises(Forbidden):
            nobody.change(1, [topic], True)
    with pytest.raises(Forbidden, match="admin"):
        Topic(OfferChanged, admin=True).check(READER)


async def test_a_client_hears_a_changed_catalog_and_a_changed_server(home: House) -> None:
    async with socket(home.origin) as line:
        subscribed = await line.ask("s", "subscribe", topics=["servers", "catalog"])
        await line.call(1, "up__grow")
        while not any(frame["type"] == "event" for frame in line.heard):
            await line.next()
        home.app.upstreams.reconnect("up")
        while not [frame for frame in line.heard if frame.get("data", {}).get("topic") == "servers"]:
            await line.next()
        rest = await line.ask("s", "unsubscribe", topics=["servers"])

    events = [frame for frame in line.heard if frame["type"] == "event"]
    assert subscribed["result"] == {"topics": ["catalog", "servers"]}
    assert {frame["id"] for frame in events} == {"s"}
    assert events[0]["data"]["topic"] == "catalog"
    assert "tools" in events[0]["data"]["kinds"]
    assert events[-1]["data"]["server"] == "up"
    assert rest["result"] == {"topics": ["catalog"]}


async def test_a_refused_topic_is_told_with_those_there_are(shared: House) -> None:
    async with socket(shared.origin) as line:
        refused = await line.ask(1, "subscribe", topics=["secrets"])

    assert code_of(refused) == "invalid_params"
    assert "servers" in refused["error"]["error"]


async def test_what_a_key_may_no_longer_hear_is_dropped_even_where_it_waits(shared: House) -> None:
    subscriptions = Subscriptions(shared.app.gateway, Client("me"))
    subscriptions.change(1, ["servers"], True)
    subscriptions.hear(ServerStateChanged("secret", "ready"))
    subscriptions.hear(ServerStateChanged("up", "ready"))
    subscriptions.client = Client("me", principal=READER)

    taken = subscriptions.take()
    assert taken is not None
    assert taken[1]["server"] == "up"
    subscriptions.hear(ServerStateChanged("up", "backoff"))
    subscriptions.client = Client("me", principal=Principal("key:none"))
    assert subscriptions.take() is None
