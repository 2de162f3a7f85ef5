"""The end of a child: noticed at once, told plainly, and complete within its time."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import anyio
import pytest
from mcp_gateway.errors import UpstreamDisconnected, UpstreamMessageTooLarge
from mcp_gateway.upstream.dispatch.stdio import StdioDispatcher

from tests.processes import MARK, alive, new_mark, survivors
from tests.upstream.dispatch.pipes import SERVER, answers, ask, child, until

NOTICED_WITHIN_S = 0.25
STOPPED_WITHIN_S = 1.5
SLACK_S = 0.3
"""Room for a busy machine, on top of what is promised."""


# A child that ends by itself.


@pytest.mark.parametrize(
    ("method", "how"),
    [
        ("die", "exited with code 3"),
        ("die_by_signal", "was ended by SIGSEGV"),
        ("close_output", "closed its output"),
        ("close_input", "closed its input"),
    ],
)
async def test_every_pending_call_fails_at_once_and_says_how_it_ended(method: str, how: str) -> None:
    messages: list[str] = []
    async with child() as dispatcher:

        async def one(method: str) -> None:
            with anyio.fail_after(5), pytest.raises(UpstreamDisconnected) as caught:
                await dispatcher.call(method, {})
            messages.append(caught.value.message)

        began_s = time.monotonic()
        async with anyio.create_task_group() as group:
            group.start_soon(one, "never")
            group.start_soon(one, method)
        took_s = time.monotonic() - began_s
        assert messages == [f"upstream 'fake' {how} while the call was under way"] * 2
        assert took_s < NOTICED_WITHIN_S + SLACK_S
        assert dispatcher.closed.is_set()
        assert dispatcher.failure is not None
        assert dispatcher.failure.message == f"upstream 'fake' {how}"
        with pytest.raises(UpstreamDisconnected):
            await dispatcher.call("echo", {})


async def test_the_last_answer_of_a_child_that_exits_arrives() -> None:
    async with child() as dispatcher:
        with anyio.fail_after(5):
            assert len((await ask(dispatcher, "answer_and_die"))["last"]) == 60_000
            await dispatcher.closed.wait()


async def test_a_child_that_ends_at_its_start_sets_failure_and_leaves_its_last_words() -> None:
    async with child("exits") as dispatcher:
        with anyio.fail_after(5):
            await dispatcher.closed.wait()
        assert "cannot find my settings" in dispatcher.stderr_tail
        assert dispatcher.failure is not None
        assert dispatcher.failure.message == "upstream 'fake' exited with code 4"
        assert "settings" not in str(dispatcher.failure)


async def test_a_grandchild_that_holds_the_pipes_ends_with_a_crashed_child() -> None:
    mark = new_mark()
    async with child(env=mark) as dispatcher:
        await ask(dispatcher, "leave_grandchild")
        await until(lambda: len(alive(mark)) == 2)
        with anyio.fail_after(5), pytest.raises(UpstreamDisconnected):
            await dispatcher.call("die", {})
        assert await anyio.to_thread.run_sync(survivors, mark, 1.0) == []


async def test_a_grandchild_that_escaped_with_the_pipes_does_not_hide_the_end() -> None:
    async with child() as dispatcher:
        escaped = (await ask(dispatcher, "leave_grandchild", {"escapes": True}))["pid"]
        try:
            with anyio.fail_after(NOTICED_WITHIN_S + SLACK_S), pytest.raises(UpstreamDisconnected, match="code 3"):
                await dispatcher.call("die", {})
        finally:
            os.kill(escaped, signal.SIGKILL)


# A child that is ended.


async def leave_plain(dispatcher: StdioDispatcher) -> None:
    assert await answers(dispatcher)


async def leave_deaf(dispatcher: StdioDispatcher) -> None:
    await answers(dispatcher)


async def leave_stopped(dispatcher: StdioDispatcher) -> None:
    with anyio.move_on_after(0.2):
        await dispatcher.call("stop_itself", {})


async def leave_unread(dispatcher: StdioDispatcher) -> None:
    with anyio.move_on_after(0.1):
        await dispatcher.call("echo", {"pad": "x" * 3_000_000})


async def leave_grandchild(dispatcher: StdioDispatcher) -> None:
    await ask(dispatcher, "leave_grandchild")


async def leave_flooding(dispatcher: StdioDispatcher) -> None:
    with anyio.fail_after(5), pytest.raises(UpstreamMessageTooLarge):
        await dispatcher.call("endless", {})


CASES: dict[str, tuple[str, Callable[[StdioDispatcher], object]]] = {
    "at rest": ("plain", leave_plain),
    "deaf to EOF and SIGTERM": ("deaf", leave_deaf),
    "stopped": ("plain", leave_stopped),
    "not reading": ("not_reading", leave_unread),
    "with a grandchild": ("plain", leave_grandchild),
    "flooding": ("plain", leave_flooding),
}


@pytest.mark.parametrize(("mode", "leave"), CASES.values(), ids=CASES)
async def test_whatever_it_does_a_child_is_gone_in_time(mode: str, leave: Callable[[StdioDispatcher], object]) -> None:
    mark = new_mark()
    dispatcher = child(mode, env=mark)
    async with dispatcher:
        await leave(dispatcher)  # type: ignore[misc]  # a coroutine function, kept in a table
        began_s = time.monotonic()
    assert time.monotonic() - began_s < STOPPED_WITHIN_S
    assert await anyio.to_thread.run_sync(survivors, mark, 0.5) == []  # a killed grandchild is not ours to wait for
    assert dispatcher.failure is None


async def test_a_quiet_child_is_gone_at_once() -> None:
    async with child() as dispatcher:
        assert await answers(dispatcher)
        began_s = time.monotonic()
    assert time.monotonic() - began_s < 0.4


async def test_several_are_ended_at_the_same_time() -> None:
    mark = new_mark()
    ready = [anyio.Event() for _ in range(5)]
    leave = anyio.Event()

    async def keep(number: int) -> None:
        async with child("deaf", env=mark) as dispatcher:
            await answers(dispatcher)
            ready[number].set()
            await leave.wait()

    async with anyio.create_task_group() as group:
        for number in range(5):
            group.start_soon(keep, number)
        for event in ready:
            await event.wait()
        began_s = time.monotonic()
        leave.set()
    assert time.monotonic() - began_s < STOPPED_WITHIN_S + SLACK_S
    assert alive(mark) == []


async def test_a_cancelled_owner_still_ends_its_child() -> None:
    mark = new_mark()
    ready = anyio.Event()

    async def keep() -> None:
        async with child("deaf", env=mark) as dispatcher:
            await answers(dispatcher)
            ready.set()
            await anyio.sleep_forever()

    async with anyio.create_task_group() as group:
        group.start_soon(keep)
        await ready.wait()
        group.cancel_scope.cancel()
    assert alive(mark) == []


async def test_a_cancelled_start_leaves_no_child() -> None:
    mark = new_mark()
    for delay_s in (0.0, 0.002, 0.005, 0.01):
        with anyio.move_on_after(delay_s):
            async with child(env=mark):
                await anyio.sleep_forever()
    assert alive(mark) == []


async def test_calls_in_flight_fail_when_the_dispatcher_is_left() -> None:
    failures: list[str] = []

    async def one(dispatcher: StdioDispatcher) -> None:
        with pytest.raises(UpstreamDisconnected) as caught:
            await dispatcher.call("never", {})
        failures.append(caught.value.message)

    async with anyio.create_task_group() as group, child() as dispatcher:
        group.start_soon(one, dispatcher)
        await anyio.lowlevel.checkpoint()
    assert failures == ["upstream 'fake' was closed"]


OWNER = """
import anyio, os, sys
from mcp_gateway.upstream.dispatch.stdio import StdioDispatcher

async def main() -> None:
    argv = [sys.executable, "-I", "-S", {server!r}, "deaf"]
    env = {{"PATH": os.defpath, "{name}": "{mark}"}}
    async with StdioDispatcher("x", argv, env=env, listener=lambda method, params: None) as dispatcher:
        await dispatcher.call("echo", {{}})
        print("ready", flush=True)
        await anyio.sleep_forever()

anyio.run(main)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux's")
def test_a_deaf_child_does_not_outlive_a_gateway_that_is_killed() -> None:
    mark = new_mark()
    script = OWNER.format(server=str(SERVER), name=MARK, mark=mark[MARK])
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == b"ready\n"
        assert len(alive(mark)) == 1
        owner.kill()
    assert survivors(mark, within_s=2.0) == []


# Its standard error.


async def test_a_flood_on_standard_error_holds_nothing_up(capfd: pytest.CaptureFixture[str]) -> None:
    async with child("stderr_flood") as dispatcher:
        assert await answers(dispatcher)
        assert len(dispatcher.stderr_tail) <= 4096
        assert dispatcher.stderr_tail.endswith("noise and more noise\n")
    assert capfd.readouterr() == ("", "")


async def test_standard_error_is_logged_at_debug(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "mcp_gateway.upstream.stderr"):
        async with child() as dispatcher:
            await ask(dispatcher, "say", {"text": "looking for \x1b[31mtrouble"})
    assert "upstream.stderr name=fake looking for \\x1b[31mtrouble" in caplog.messages


# Both event loops.


@pytest.mark.parametrize("use_uvloop", [False, True])
def test_both_event_loops_serve_and_end_a_child(use_uvloop: bool) -> None:
    pytest.importorskip("uvloop")
    mark = new_mark()

    async def main() -> None:
        async with child(env=mark) as dispatcher, child("deaf", env=mark) as deaf:
            assert await answers(dispatcher)
            assert (await ask(dispatcher, "descriptors"))["open"] == [0, 1, 2, 3]  # 3 is the listing itself
            assert await answers(deaf)
            with anyio.fail_after(5), pytest.raises(UpstreamDisconnected, match="exited with code 3"):
                await dispatcher.call("die", {})

    anyio.run(main, backend_options={"use_uvloop": use_uvloop})
    assert alive(mark) == []
