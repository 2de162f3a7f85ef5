"""As many sessions as the file says, over all doors; one more is told so and may try again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
from mcp_gateway.downstream.places import LEAST_SHARE, Places
from mcp_gateway.errors import Busy
from mcp_gateway.security.principal import LOCAL, Principal

from tests.downstream.rest.people import AUTH, as_person
from tests.interaction.asking import until
from tests.interaction.house import Door, House, house
from tests.interaction.posting import HEADERS, Session, opening


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[House]:
    """A gateway that has places for two sessions."""
    async with house(tmp_path, limits={"max_sessions": 2}) as running:
        yield running


async def post_opening(home: House) -> httpx2.Response:
    message = {"jsonrpc": "2.0", "id": 7, "method": "initialize", "params": opening()}
    async with httpx2.AsyncClient(timeout=10) as http:
        return await http.post(home.url, headers=HEADERS, json=message)


def assert_is_full(refusal: httpx2.Response) -> None:
    assert refusal.status_code == 503
    assert refusal.json()["id"] == 7
    assert refusal.json()["error"]["data"] == {"code": "busy"}
    assert "limits.max_sessions" in refusal.json()["error"]["message"]


@pytest.mark.parametrize("door", [Door.SSE, Door.HTTP_LEGACY, Door.STDIO_LEGACY], ids=lambda door: door.name.lower())
async def test_sessions_of_every_door_take_a_place_until_they_end(home: House, door: Door) -> None:
    async with home.client(door), Session(home.url):
        assert home.app.endpoint.places.taken == 2
        assert_is_full(await post_opening(home))
        async with httpx2.AsyncClient(timeout=10) as http:
            refusal = await http.get(f"{home.origin}/sse")
        assert (refusal.status_code, refusal.json()["details"]) == (503, {"code": "busy"})
        async with home.client(Door.HTTP_MODERN) as stateless:
            assert (await stateless.list_tools()).tools

    await until(lambda: home.app.endpoint.places.taken == 1)  # the one posted by hand was not ended
    assert (await post_opening(home)).status_code == 200


async def test_streams_without_a_session_yet_take_a_place_too(home: House) -> None:
    stream = "GET", f"{home.origin}/sse"
    async with httpx2.AsyncClient(timeout=10) as http, http.stream(*stream), http.stream(*stream):
        await until(lambda: home.app.endpoint.places.taken == 2)
        assert_is_full(await post_opening(home))
    await until(lambda: home.app.endpoint.places.taken == 0)


async def test_a_session_that_is_deleted_gives_its_place_back(home: House) -> None:
    async with Session(home.url) as session, Session(home.url):
        assert_is_full(await post_opening(home))
        await session.http.delete(home.url, headers=session.headers)
        await until(lambda: home.app.endpoint.places.taken == 1)


def test_openings_under_way_count() -> None:
    places = Places(2)
    with places.place(LOCAL), places.place(LOCAL), pytest.raises(Busy, match="2 sessions are open"):
        places.place(LOCAL).__enter__()
    with places.place(LOCAL):
        assert places.taken == 1


def test_one_caller_cannot_take_all_places_and_the_local_person_can() -> None:
    places, one, other = Places(300), Principal("key:one"), Principal("key:other")
    for _ in range(75):
        places.enter(one)
    with pytest.raises(Busy, match="75 sessions of this caller are open"), places.place(one):
        pass
    with places.place(other):
        pass
    places.leave(one)
    with places.place(one):
        assert places.taken == 75
    for _ in range(226):
        with places.place(LOCAL):
            pass
        places.enter(LOCAL)
    assert places.taken == 300


def test_the_share_of_a_caller_is_not_below_the_least() -> None:
    assert (Places(4).share, Places(1000).share) == (LEAST_SHARE, 250)


async def test_r_cap_1_a_caller_with_too_many_sessions_is_told_so_at_every_door(tmp_path: Path) -> None:
    async with house(tmp_path, auth=AUTH) as home, httpx2.AsyncClient(timeout=10) as http:
        for _ in range(home.app.endpoint.places.share):
            home.app.endpoint.places.enter(Principal("key:reader"))
        message = {"jsonrpc": "2.0", "id": 7, "method": "initialize", "params": opening()}
        refused = await http.post(home.url, headers=HEADERS | as_person("reader"), json=message)
        stream = await http.get(f"{home.origin}/sse", headers=as_person("reader"))
        other = await http.post(home.url, headers=HEADERS | as_person("asker"), json=message)

    assert (refused.status_code, refused.json()["error"]["data"]) == (503, {"code": "busy"})
    assert (stream.status_code, stream.json()["details"]) == (503, {"code": "busy"})
    assert other.status_code == 200


async def test_a_profile_of_any_name_is_the_door_of_streamable_http(tmp_path: Path) -> None:
    profiles = {"messages": {"servers": ["up"]}}
    async with house(tmp_path, profiles=profiles) as home, Session(f"{home.url}/messages") as session:
        assert home.app.endpoint.places.taken == 1
        await session.http.delete(session.url, headers=session.headers)
        await until(lambda: home.app.endpoint.places.taken == 0)
