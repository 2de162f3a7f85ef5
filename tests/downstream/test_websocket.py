"""The WebSocket door, with a real client of a library."""

from __future__ import annotations

from tests.interaction.house import House
from tests.interaction.sockets import code_of, socket, text_of


async def test_a_call_is_answered_under_its_id(home: House) -> None:
    async with socket(home.origin) as line:
        frame = await line.call("a", "up__echo", text="hello")

    assert (frame["id"], text_of(frame)) == ("a", "hello")


async def test_an_unknown_tool_is_an_error_with_its_code(home: House) -> None:
    async with socket(home.origin) as line:
        frame = await line.call(1, "up__nothing")

    assert code_of(frame) == "unknown_name"
    assert set(frame["error"]) == {"error", "timestamp", "details"}
