"""The desk: what is offered, what is withheld, and how processes that share a file agree."""

from __future__ import annotations

import logging
import time
from pathlib import Path

import anyio
import pytest
from mcp_gateway.errors import InvalidParams, PinsUnreadable, UnknownName
from mcp_gateway.security import pin_desk
from mcp_gateway.security.pin_desk import FULL, UNREADABLE, PinDesk
from mcp_gateway.security.pin_file import PinFile
from mcp_gateway.security.pins import Offered, Trust

from tests.security.definitions import offered
from tests.security.holding import held_elsewhere
from tests.upstream.dispatch.pipes import until

ECHO, CHANGED, OTHER = offered(), offered(description="Sends it to me."), offered(name="other")
AGAIN = offered(description="Sends it to him.")
WHY = {"echo": "changed since it was pinned: description"}


class Desk(PinDesk):
    """A desk that counts how often it called for another look."""

    def __init__(self, folder: Path, **trust: Trust) -> None:
        self.calls = 0
        super().__init__(file(folder), self._count)
        self.configure(trust)

    def _count(self) -> None:
        self.calls += 1


def file(folder: Path) -> PinFile:
    return PinFile(folder / "state" / "pins" / "key.json")


def test_first_use_believes_what_it_sees_first(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    assert desk.judge("up", [ECHO]) == {}
    assert desk.judge("up", [CHANGED, OTHER]) == WHY
    assert desk.judge("up", [ECHO, OTHER]) == {}


def test_a_tool_that_was_gone_is_remembered(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.judge("up", [ECHO])
    assert desk.judge("up", []) == {}
    assert desk.judge("up", [CHANGED]) == WHY


def test_servers_are_apart(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.judge("up", [ECHO])
    assert desk.judge("side", [CHANGED]) == {}


def test_strict_believes_nothing_unapproved(tmp_path: Path) -> None:
    desk = Desk(tmp_path, up=Trust.STRICT)
    assert desk.judge("up", [ECHO]) == {"echo": "new, and not approved yet (trust: strict)"}
    assert [change.tool for change in desk.approve("up")] == ["echo"]
    assert desk.judge("up", [ECHO]) == {}
    assert desk.judge("up", [CHANGED]) == WHY
    assert desk.calls == 1


def test_off_looks_at_nothing(tmp_path: Path) -> None:
    desk = Desk(tmp_path, up=Trust.OFF)
    desk.judge("up", [ECHO])
    assert desk.judge("up", [CHANGED]) == {}
    assert desk.book == {}


def test_what_differs_beyond_the_cap_is_withheld_too(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.judge("up", [ECHO])
    longer = Offered("echo", "sha256:of what was cut", ECHO.fields)
    assert desk.judge("up", [longer]) == {"echo": "changed since it was pinned: text beyond the cap"}


def test_only_what_is_withheld_can_be_approved(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.judge("up", [ECHO])
    with pytest.raises(UnknownName, match="nobody"):
        desk.approve("nobody")
    with pytest.raises(UnknownName, match="withheld tool of 'up': echo"):
        desk.approve("up", ["echo"])
    assert desk.approve("up") == ()


def test_what_has_changed_again_since_it_was_looked_at_is_not_approved(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.judge("up", [ECHO])
    desk.judge("up", [CHANGED])
    desk.judge("up", [AGAIN])
    with pytest.raises(InvalidParams, match="has changed again"):
        desk.approve("up", {"echo": CHANGED.digest})
    desk.approve("up", {"echo": AGAIN.digest})
    assert desk.judge("up", [AGAIN]) == {}


def test_a_server_that_invents_tools_fills_no_disk(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    large = [offered(name=f"t{number}", description="x" * 2**24) for number in range(3)]
    assert desk.judge("up", large) == {"t1": FULL, "t2": FULL}
    assert desk.judge("up", [ECHO]) == {}


def test_neither_do_definitions_that_are_withheld(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    desk = Desk(tmp_path, up=Trust.STRICT)
    large = [offered(name=f"t{number}", description="x" * 2**24) for number in range(3)]
    for _ in range(2):
        reasons = desk.judge("up", large)
        assert reasons == {"t0": "new, and not approved yet (trust: strict)", "t1": FULL, "t2": FULL}
        assert list(desk.book["up"]) == ["t0"]
    assert [record.message.split()[0] for record in caplog.records] == ["pins.full"]

    desk.configure({"up": Trust.FIRST_USE})
    assert desk.judge("up", large) == {"t1": FULL, "t2": FULL}


def test_a_changed_definition_that_does_not_fit_is_withheld_and_takes_no_place(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.judge("up", [ECHO, offered(name="large", description="x" * 2**24)])
    assert desk.judge("up", [offered(description="y" * 2**24)]) == {"echo": FULL}
    assert desk.book["up"]["echo"].withheld is None
    assert desk.judge("up", [CHANGED]) == WHY


def test_a_withheld_definition_is_logged_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    desk = Desk(tmp_path)
    desk.judge("up", [ECHO])
    with caplog.at_level(logging.WARNING):
        desk.judge("up", [CHANGED])
        desk.judge("up", [CHANGED])
    assert [record.message.split()[0] for record in caplog.records] == ["pins.withheld"]


@pytest.mark.anyio
async def test_the_next_process_knows_what_this_one_saw(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.judge("up", [ECHO])
    await desk.save()
    assert Desk(tmp_path).judge("up", [CHANGED]) == WHY


@pytest.mark.anyio
async def test_what_another_process_approved_is_taken_over(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.judge("up", [ECHO])
    desk.judge("up", [CHANGED])
    await desk.save()

    file(tmp_path).update(pin_desk.approvals(file(tmp_path).read(), "up"))
    await desk.reload()

    assert desk.calls == 1
    assert desk.judge("up", [CHANGED]) == {}
    assert desk.judge("up", [ECHO]) == WHY


@pytest.mark.anyio
async def test_an_approval_is_not_undone_by_a_process_that_did_not_hear_of_it(tmp_path: Path) -> None:
    one, other = Desk(tmp_path), Desk(tmp_path)
    one.judge("up", [ECHO])
    await one.save()
    await other.reload()
    one.judge("up", [CHANGED])
    one.approve("up")
    await one.save()

    other.judge("up", [OTHER])
    await other.save()

    assert other.judge("up", [CHANGED, OTHER]) == {}
    assert Desk(tmp_path).judge("up", [CHANGED, OTHER]) == {}


@pytest.mark.anyio
async def test_reading_our_own_writing_again_changes_nothing(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.judge("up", [ECHO])
    await desk.save()
    await desk.reload()
    assert desk.calls == 0


@pytest.mark.anyio
async def test_a_broken_file_trusts_nothing_until_it_is_mended(tmp_path: Path) -> None:
    desk = Desk(tmp_path, free=Trust.OFF)
    desk.judge("up", [ECHO])
    await desk.save()
    good = file(tmp_path).path.read_bytes()
    file(tmp_path).path.write_text("{")

    for closed in (desk, Desk(tmp_path, free=Trust.OFF)):
        await closed.reload()
        assert closed.judge("up", [ECHO]) == {"echo": UNREADABLE}
        assert closed.judge("free", [ECHO]) == {}
        with pytest.raises(PinsUnreadable):
            closed.approve("up")
        await closed.save()
    file(tmp_path).path.write_bytes(good)
    await desk.reload()

    assert desk.calls == 2
    assert desk.judge("up", [ECHO]) == {}


@pytest.mark.anyio
async def test_a_file_that_breaks_before_it_is_written_is_not_overwritten(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.judge("up", [ECHO])
    file(tmp_path).path.parent.mkdir(parents=True)
    file(tmp_path).path.write_text("{")
    await desk.save()

    assert file(tmp_path).path.read_text() == "{"
    assert (desk.calls, desk.judge("up", [ECHO])) == (1, {"echo": UNREADABLE})


@pytest.mark.anyio
async def test_a_disk_that_refuses_is_told_once_and_tried_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "state").touch()
    desk = Desk(tmp_path)
    desk.judge("up", [ECHO])
    with caplog.at_level(logging.WARNING):
        await desk.save()
        await desk.save()
    assert [record.message.split()[0] for record in caplog.records] == ["pins.not_saved"]
    assert "echo" in desk.book["up"]

    (tmp_path / "state").unlink()
    await desk.save()
    assert "echo" in file(tmp_path).read()["up"]


@pytest.mark.anyio
async def test_a_file_that_another_process_holds_delays_no_stop_and_is_written_later(tmp_path: Path) -> None:
    desk, lock = Desk(tmp_path), file(tmp_path).path.with_suffix(".lock")
    lock.parent.mkdir(parents=True)
    desk.judge("up", [ECHO])
    with held_elsewhere(lock):
        before_s = time.monotonic()
        await desk.save()
        assert time.monotonic() - before_s < 1
        assert file(tmp_path).read() == {}

    async with anyio.create_task_group() as group:
        group.start_soon(desk.run)
        await until(lambda: "up" in file(tmp_path).read())
        group.cancel_scope.cancel()
