"""Signs of life: only for callers with a token, only in silence, always increasing."""

from __future__ import annotations

import anyio
import pytest
from mcp_gateway.call import QUIET, Call, Client
from mcp_gateway.middleware.heartbeat import Heartbeat
from mcp_gateway.wire import Raw, RawParams, loads

RESULT = Raw(b"{}")


class Listener:
    """A caller with a progress token; hears progress values."""

    owner = "me"
    token: str | int | None = "t"

    def __init__(self) -> None:
        self.heard: list[float] = []
        self.several = anyio.Event()

    def notify(self, method: str, params: RawParams) -> None:
        value = params["progress"]
        self.heard.append(loads(value) if isinstance(value, Raw) else value)
        if len(self.heard) >= 4:
            self.several.set()

    async def request(self, method: str, params: RawParams) -> Raw:
        return Raw(b'"asked"')


async def heard(*reports: bytes, interval_s: float = 1000.0, beats: int = 0) -> list[float]:
    """What a caller hears of an upstream's reports, after so many signs of life."""
    listener = Listener()

    async def upstream(call: Call) -> Raw:
        for _ in range(beats):
            call.sink.beat()  # type: ignore[attr-defined]  # what the clock does, without the clock
        for report in reports:
            call.sink.notify("notifications/progress", {"progress": Raw(report)})
        return RESULT

    await Heartbeat(interval_s)(Call("tools/call", {}, Client("me"), sink=listener), upstream)
    return listener.heard


async def test_an_upstreams_progress_is_passed_on_as_it_is() -> None:
    assert await heard(b"0", b"0.5", b"1", b"1e3") == [0, 0.5, 1, 1000]


@pytest.mark.parametrize("first", [b"0", b"0.0", b"1e-9", b"1"])
async def test_progress_increases_after_signs_of_life(first: bytes) -> None:
    values = await heard(first, b"2", beats=3)

    assert values == sorted(set(values))
    assert values[-1] == 2


async def test_progress_that_starts_again_goes_on_increasing() -> None:
    values = await heard(b"1", b"2", b"0", b"1", b"3")

    assert values == sorted(set(values))
    assert (values[:2], values[-1]) == ([1, 2], 3)


async def test_a_sign_of_life_increases_whatever_came_before() -> None:
    listener = Listener()

    async def upstream(call: Call) -> Raw:
        call.sink.notify("notifications/progress", {"progress": Raw(b"1e15")})
        call.sink.beat()  # type: ignore[attr-defined]  # what the clock does, without the clock
        return RESULT

    await Heartbeat()(Call("tools/call", {}, Client("me"), sink=listener), upstream)
    assert listener.heard[1] > listener.heard[0]


@pytest.mark.parametrize("report", [b'"half"', b"null", b"1e999", b"1" + 400 * b"0"])
async def test_progress_that_is_no_number_confuses_nothing(report: bytes) -> None:
    listener = Listener()

    async def upstream(call: Call) -> Raw:
        call.sink.notify("notifications/progress", {"progress": report.decode()})
        return RESULT

    await Heartbeat()(Call("tools/call", {}, Client("me"), sink=listener), upstream)
    assert list(map(str, listener.heard)) == [report.decode()]


async def test_silence_is_broken_again_and_again() -> None:
    listener, heartbeat = Listener(), Heartbeat(0.02)

    async def upstream(call: Call) -> Raw:
        await listener.several.wait()
        return RESULT

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(heartbeat.run)
            await heartbeat(Call("tools/call", {}, Client("me"), sink=listener), upstream)
            group.cancel_scope.cancel()
    assert listener.heard[0] == 0
    assert listener.heard == sorted(set(listener.heard))


async def test_a_caller_without_a_token_hears_nothing_of_it() -> None:
    call = Call("tools/call", {}, Client("me"))

    async def upstream(call: Call) -> Raw:
        assert call.sink is QUIET
        return RESULT

    assert await Heartbeat()(call, upstream) is RESULT


async def test_questions_pass() -> None:
    async def upstream(call: Call) -> Raw:
        return await call.sink.request("roots/list", {})

    assert await Heartbeat()(Call("tools/call", {}, Client("me"), sink=Listener()), upstream) == Raw(b'"asked"')
