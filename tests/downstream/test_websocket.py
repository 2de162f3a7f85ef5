"""The WebSocket door, with a real client of a library: frames, limits, and what a bad client costs."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp_gateway.downstream.connection import MAX_REFUSED
from mcp_gateway.security.key_store import KEYS_FILE, KeyStore
from mcp_gateway.security.keys import ApiKey, hashed, new_key
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.downstream.own_door import door
from tests.interaction.asking import until
from tests.interaction.house import House, house
from tests.interaction.sockets import Socket, code_of, socket, text_of

KEYS = {name: new_key() for name in ("all", "guest", "reader")}
GRANTS: dict[str, dict[str, Any]] = {
    "all": {"scopes": ["read", "call", "ask", "execute", "admin"]},
    "guest": {"servers": {"deny": ["up"]}},
    "reader": {"scopes": ["read"]},
}
AUTH = {"keys": [{"name": name, "hash": hashed(KEYS[name]), **GRANTS[name]} for name in KEYS]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of the gateway that asks for a key."""
    return tmp_path_factory.mktemp("locked")


@pytest.fixture(scope="module")
async def locked(folder: Path) -> AsyncIterator[House]:
    """A gateway that asks for a key."""
    async with house(folder, auth=AUTH) as running:
        yield running


def shown(key: str) -> dict[str, Any]:
    """The options of a client that shows a key."""
    return {"additional_headers": {"X-API-Key": key}}


# -- calls -----------------------------------------------------------------------------------------------------------


async def test_a_call_is_answered_under_its_id(shared: House) -> None:
    async with socket(shared.origin) as line:
        frames = [await line.call(id, "up__echo", text="hello") for id in ("a", 1, "1")]

    assert [(frame["id"], text_of(frame)) for frame in frames] == [("a", "hello"), (1, "hello"), ("1", "hello")]


async def test_an_unknown_tool_is_an_error_with_its_code(shared: House) -> None:
    async with socket(shared.origin) as line:
        frame = await line.call(1, "up__nothing")

    assert code_of(frame) == "unknown_name"
    assert set(frame["error"]) == {"error", "timestamp", "details"}


async def test_a_call_that_fails_is_a_result_that_says_so(shared: House) -> None:
    async with socket(shared.origin) as line:
        frame = await line.call(1, "up__fail")

    assert frame["result"]["isError"] is True


async def test_a_call_ends_at_the_clients_own_deadline(shared: House) -> None:
    async with socket(shared.origin) as line:
        await line.call(0, "up__echo")  # the connection to the upstream is there
        frame = await line.ask(1, "call", tool="up__wait", timeout_s=0.2)

    assert frame["result"]["_meta"]["io.mcp-gateway/error"]["code"] == "upstream_timeout"


async def test_calls_overlap(home: House) -> None:
    async with socket(home.origin) as line:
        await line.say("slow", "call", tool="up__wait", arguments={"seconds": 0.5})
        await until(lambda: home.everything.calls == 1)
        await line.say("quick", "call", tool="up__echo", arguments={"text": "first"})
        order = [(await line.next())["id"] for _ in range(2)]

    assert order == ["quick", "slow"]


async def test_an_id_can_be_used_again_once_its_call_has_ended(shared: House) -> None:
    async with socket(shared.origin) as line:
        texts = [text_of(await line.call(7, "up__echo", text=str(turn))) for turn in range(20)]

    assert texts == [str(turn) for turn in range(20)]


async def test_the_id_of_a_running_call_is_refused_to_another(home: House) -> None:
    async with socket(home.origin) as line:
        await line.say(7, "call", tool="up__wait", arguments={"seconds": 1})
        await until(lambda: home.everything.calls == 1)
        refused = await line.call(7, "up__echo", text="mine")
        ended = await line.end_of(7)

    assert code_of(refused) == "invalid_params"
    assert text_of(ended) == "waited"


async def test_a_question_of_the_upstream_is_declined_with_the_reason(shared: House) -> None:
    async with socket(shared.origin) as line:
        frame = await line.call(1, "up__elicit")

    assert "declined" in json.dumps(frame)


async def test_what_a_key_may_not_see_is_not_there(locked: House) -> None:
    async with socket(locked.origin, **shown(KEYS["guest"])) as line:
        hidden = await line.call(1, "up__echo", text="x")
        unknown = await line.call(2, "xx__echo", text="x")

    assert code_of(hidden) == code_of(unknown) == "unknown_name"
    assert hidden["error"]["error"].replace("up__", "xx__") == unknown["error"]["error"]


async def test_a_scope_that_is_missing_is_told(locked: House) -> None:
    async with socket(locked.origin, **shown(KEYS["reader"])) as line:
        frames = [await line.call(1, "up__echo"), await line.ask(2, "ask", question="?")]

    assert [code_of(frame) for frame in frames] == ["forbidden", "forbidden"]


async def test_confirming_ahead_needs_the_scope_execute(tmp_path: Path) -> None:
    key = new_key()
    auth = {"keys": [{"name": "asks", "hash": hashed(key), "scopes": ["read", "call", "ask"]}]}
    async with house(tmp_path, auth=auth) as home, socket(home.origin, **shown(key)) as line:
        refused = await line.ask(1, "ask", question="?", confirm="auto")

    assert code_of(refused) == "forbidden"
    assert "execute" in refused["error"]["error"]


# -- frames that are none --------------------------------------------------------------------------------------------

CALL = {"type": "call", "tool": "up__echo"}

BAD: list[tuple[Any, int | str | None]] = [
    ("", None),
    ("hello", None),
    ("null", None),
    ("[]", None),
    ("17", None),
    ("{", None),
    ('{"id":1,"type":"call","tool":"up__echo","arguments":{"n":NaN}}', None),
    ('{"id":1,"type":"call","tool":"up__echo","arguments":{"s":"\\ud800"}}', None),
    ('{"id":1,"type":"call","tool":"up__echo","arguments":' + "[" * 200 + "]" * 200 + "}", None),
    ('{"id":1}{"id":2}', None),
    ("\ufeff{}", None),
    ({"type": "cancel"}, None),
    ({"id": None, **CALL}, None),
    ({"id": 1.5, **CALL}, None),
    ({"id": True, **CALL}, None),
    ({"id": {}, **CALL}, None),
    ({"id": 2**60, **CALL}, None),
    ({"id": "x" * 200, **CALL}, None),
    ({"id": 1}, 1),
    ({"id": "é", "type": "launch"}, "é"),
    ({"id": 1, "type": ["call"]}, 1),
    ({"id": 1, "type": "call"}, 1),
    ({"id": 1, "type": "call", "tool": 7}, 1),
    ({"id": 1, **CALL, "arguments": []}, 1),
    ({"id": 1, **CALL, "arguments": None}, 1),
    ({"id": 1, **CALL, "timeout_s": 0}, 1),
    ({"id": 1, **CALL, "timeout_s": "5"}, 1),
    ({"id": 1, **CALL, "command": "/bin/sh", "args": ["-c", "id"]}, 1),
    ({"id": 1, "type": "cancel", "now": True}, 1),
    ({"id": 1, "type": "ask", "question": "?", "confirm": "yes"}, 1),
    ({"id": 1, "type": "subscribe"}, 1),
    ({"id": 1, "type": "subscribe", "topics": "servers"}, 1),
    ({"id": 1, "type": "subscribe", "topics": []}, 1),
    ({"id": 1, "type": "subscribe", "topics": ["servers", 7]}, 1),
    ({"id": 1, "type": "subscribe", "topics": ["servers", "secrets"]}, 1),
]


async def test_a_malformed_frame_is_answered_and_ends_nothing(home: House) -> None:
    async with socket(home.origin) as line:
        for frame, id in BAD:
            await line.send(frame)
            answer = await line.next()
            assert (answer["id"], code_of(answer)) == (id, "invalid_params"), frame
        alive = await line.call("alive", "up__echo", text="yes")

    assert text_of(alive) == "yes"
    assert home.everything.calls == 1


async def test_r_stdio_1_no_frame_starts_a_program(home: House) -> None:
    program = {"command": "/bin/sh", "args": ["-c", "id"], "env": {"A": "1"}}
    async with socket(home.origin) as line:
        for type in ("call", "ask", "cancel", "subscribe", "unsubscribe"):
            members: dict[str, Any] = {"call": {"tool": "up__echo"}, "ask": {"question": "?"}}.get(type, {})
            assert code_of(await line.ask(type, type, **members, **program)) in ("invalid_params", "unknown_name")
        served = await line.call(1, "up__echo", **program)

    assert home.app.upstreams.names == ("up",)
    assert served["result"]["structuredContent"]["echoed"] == program


# -- cancelling ------------------------------------------------------------------------------------------------------


async def test_a_cancelled_call_ends_upstream_and_is_told(home: House) -> None:
    async with socket(home.origin) as line:
        await line.say("given up", "call", tool="up__wait")
        await line.say("kept", "call", tool="up__wait", arguments={"seconds": 0.5})
        await until(lambda: home.everything.calls == 2)
        await line.say("given up", "cancel")
        given_up = await line.end_of("given up")
        kept = await line.end_of("kept")

    assert code_of(given_up) == "cancelled"
    assert text_of(kept) == "waited"
    assert home.everything.cancelled == 1


async def test_a_call_cancelled_before_it_began_is_told_once(shared: House) -> None:
    async with socket(shared.origin) as line:
        await line.say(1, "call", tool="up__wait")
        await line.say(1, "cancel")
        await line.say(1, "cancel")
        first = await line.end_of(1)
        after = await line.call(1, "up__echo", text="after")

    assert (code_of(first), text_of(after)) == ("cancelled", "after")


async def test_cancelling_what_does_not_run_is_not_answered(shared: House) -> None:
    async with socket(shared.origin) as line:
        await line.say("gone", "cancel")
        await line.call("next", "up__echo", text="x")

    assert [frame["id"] for frame in line.heard] == ["next"]


@pytest.mark.parametrize("abruptly", [False, True])
async def test_a_socket_that_closes_takes_its_calls_with_it(home: House, abruptly: bool) -> None:
    async with socket(home.origin) as line:
        for id in range(3):
            await line.say(id, "call", tool="up__wait")
        await until(lambda: home.everything.calls == 3)
        if abruptly:
            line.wire.transport.abort()

    await until(lambda: home.everything.cancelled == 3)
    await until(lambda: home.app.endpoint.in_flight.count == 0)


# -- limits ----------------------------------------------------------------------------------------------------------


async def test_calls_above_the_limit_are_told_to_wait(shared: House) -> None:
    async with door(shared, calls=2) as doors, socket(doors.origin) as line:
        for id in (1, 2):
            await line.say(id, "call", tool="up__wait")
        refused = await line.call(3, "up__echo")
        await line.say(1, "cancel")
        await line.end_of(1)
        served_again = await line.call(4, "up__echo", text="room")

    assert code_of(refused) == "busy"
    assert text_of(served_again) == "room"


@pytest.mark.parametrize("limit", [{"sockets": 2}, {"max_sessions": 2}])
async def test_sockets_above_the_limit_are_closed_and_one_that_leaves_makes_room(
    shared: House, limit: dict[str, Any]
) -> None:
    async with door(shared, **limit) as doors, socket(doors.origin) as first:
        async with socket(doors.origin) as second:
            await second.call(1, "up__echo")
            async with socket(doors.origin) as third:
                refused = await third.closed()
        assert refused[0] == 1013
        async with socket(doors.origin) as again:
            assert text_of(await again.call(1, "up__echo", text="in")) == "in"
        await first.call(1, "up__echo")


async def test_many_sockets_are_served_side_by_side(shared: House) -> None:
    answers: list[str] = []

    async def ask(number: int) -> None:
        async with socket(shared.origin) as line:
            answers.append(text_of(await line.call(1, "up__echo", text=str(number))))

    async with anyio.create_task_group() as group:
        for number in range(60):
            group.start_soon(ask, number)

    assert sorted(answers, key=int) == [str(number) for number in range(60)]


async def test_frames_above_the_rate_are_refused_with_their_ids(shared: House) -> None:
    async with door(shared, frames_per_s=0.001, burst=3) as doors, socket(doors.origin) as line:
        codes = [code_of(await line.ask(id, "launch")) for id in range(5)]
        malformed = await line.ask(9, "call", tool="up__echo")

    assert codes == ["invalid_params"] * 3 + ["rate_limited"] * 2
    assert (malformed["id"], code_of(malformed)) == (9, "rate_limited")


async def test_a_cancellation_is_heard_above_the_rate(shared: House) -> None:
    async with door(shared, frames_per_s=0.001, burst=1) as doors, socket(doors.origin) as line:
        await line.say(1, "call", tool="up__wait")
        await line.say(1, "cancel")

        assert code_of(await line.end_of(1)) == "cancelled"


async def test_a_flood_is_cut_off(shared: House) -> None:
    async with (
        door(shared, frames_per_s=0.001, burst=1) as doors,
        socket(doors.origin) as line,
        anyio.create_task_group() as group,
    ):
        group.start_soon(_flood, line)
        code, _ = await line.closed()
        group.cancel_scope.cancel()

    assert code == 1008


async def _flood(line: Socket) -> None:
    try:
        for _ in range(2 * MAX_REFUSED):
            await line.send("{}")
    except ConnectionClosed:
        return


async def test_answers_to_a_client_that_reads_late_are_all_there(home: House) -> None:
    big = "x" * 300_000
    async with socket(home.origin, max_queue=1) as line:
        for id in range(20):
            await line.say(id, "call", tool="up__echo", arguments={"text": f"{id} {big}"})
        await until(lambda: home.everything.calls == 20)
        answers = {frame["id"]: text_of(frame)[:2].strip() for frame in [await line.next() for _ in range(20)]}

    assert answers == {id: str(id) for id in range(20)}


# -- who comes in ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("headers", [{"Origin": "http://evil.example"}, {"Origin": "null"}])
async def test_r_ws_1_a_foreign_origin_is_refused_before_the_socket_is_accepted(
    shared: House, headers: dict[str, str]
) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with socket(shared.origin, additional_headers=headers):
            pass

    assert refused.value.response.status_code == 403


async def test_r_ws_1_a_foreign_host_is_refused_before_the_socket_is_accepted(shared: House) -> None:
    port = int(shared.origin.rpartition(":")[2])
    with pytest.raises(InvalidStatus) as refused:
        async with socket("http://evil.example", host="127.0.0.1", port=port):
            pass

    assert refused.value.response.status_code == 403


async def test_an_origin_of_this_machine_comes_in(shared: House) -> None:
    async with socket(shared.origin, additional_headers={"Origin": shared.origin}) as line:
        assert text_of(await line.call(1, "up__echo", text="in")) == "in"


@pytest.mark.parametrize(
    "options",
    [{}, shown("mgw_wrong"), {"subprotocols": ["mcp-gateway", "bearer.wrong"]}],
    ids=["none", "wrong", "named"],
)
async def test_r_ws_1_without_a_key_no_socket_is_accepted(locked: House, options: dict[str, Any]) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with socket(locked.origin, **options):
            pass

    assert refused.value.response.status_code == 403


async def test_r_ws_1_a_key_in_the_address_is_none(locked: House) -> None:
    with pytest.raises(InvalidStatus):
        async with socket(locked.origin, path=f"/ws?key={KEYS['all']}&token={KEYS['all']}&api_key={KEYS['all']}"):
            pass


@pytest.mark.parametrize(
    "options",
    [
        shown(KEYS["all"]),
        {"additional_headers": {"Authorization": f"Bearer {KEYS['all']}"}},
        {"subprotocols": ["mcp-gateway", f"bearer.{KEYS['all']}"]},
    ],
    ids=["x-api-key", "authorization", "subprotocol"],
)
async def test_a_key_opens_a_socket_and_is_not_sent_back(locked: House, options: dict[str, Any]) -> None:
    async with socket(locked.origin, **options) as line:
        assert text_of(await line.call(1, "up__echo", text="in")) == "in"
        assert line.wire.response is not None
        assert KEYS["all"] not in str(line.wire.response.headers)


async def test_a_revoked_key_ends_its_sockets_with_the_next_call(locked: House, folder: Path) -> None:
    store, key = KeyStore(folder / "home" / KEYS_FILE), new_key()
    store.add(ApiKey("late", hashed(key)))
    calls = locked.everything.calls
    async with socket(locked.origin, **shown(key)) as line:
        before = await line.call(1, "up__echo", text="in")
        store.revoke("late")
        await line.say(2, "call", tool="up__echo")
        code, _ = await line.closed()

    assert (text_of(before), code, code_of(line.heard[-1])) == ("in", 1008, "unauthorized")
    assert locked.everything.calls == calls + 1


async def test_a_key_that_was_narrowed_is_narrower_with_the_next_call(locked: House, folder: Path) -> None:
    store, key = KeyStore(folder / "home" / KEYS_FILE), new_key()
    store.add(ApiKey("narrowed", hashed(key)))
    async with socket(locked.origin, **shown(key)) as line:
        before = await line.call(1, "up__echo", text="in")
        store.revoke("narrowed")
        store.add(ApiKey("narrowed", hashed(key), scopes=frozenset({"read"})))
        after = await line.call(2, "up__echo")

    assert (text_of(before), code_of(after)) == ("in", "forbidden")


@pytest.mark.parametrize("path", ["/messages/", "/mcp", "/sse", "/api/v1/status", "/nothing"])
async def test_other_doors_open_no_socket(shared: House, path: str, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with socket(shared.origin, path=path):
            pass

    assert refused.value.response.status_code == 403
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


async def test_messages_are_not_compressed_even_if_the_client_offers_it(shared: House) -> None:
    async with socket(shared.origin, compression="deflate") as line:
        assert line.wire.protocol.extensions == []


async def test_the_door_may_stand_below_a_path(shared: House) -> None:
    async with door(shared, base_path="/below") as doors, socket(doors.origin, path="/below/ws") as line:
        assert text_of(await line.call(1, "up__echo", text="in")) == "in"


async def test_of_the_subprotocols_only_our_own_is_named(shared: House) -> None:
    async with socket(shared.origin, subprotocols=["bearer.secret", "mcp-gateway"]) as line:
        assert line.wire.subprotocol == "mcp-gateway"


async def test_a_socket_is_a_session_of_its_own_to_an_isolated_upstream(tmp_path: Path) -> None:
    async with house(tmp_path, entry={"isolation": "session"}) as home:

        def connections() -> int:
            return len(home.app.upstreams.connections)

        async with socket(home.origin) as one, socket(home.origin) as other:
            await one.call(1, "up__echo")
            await other.call(1, "up__echo")
            apart = connections()
        await until(lambda: connections() == 1)

    assert apart == 3
