"""The file of pins: shared, private, and never taken for empty when it is broken."""

from __future__ import annotations

import stat
import threading
from pathlib import Path

import pytest
from mcp_gateway.errors import PinsUnreadable
from mcp_gateway.security.pin_file import PinFile
from mcp_gateway.security.pins import Act, Change, Seen

from tests.security.definitions import offered
from tests.security.holding import held_elsewhere


def pin(tool: str) -> Change:
    return Change(Act.PIN, "up", tool, Seen.of(offered(name=tool), 1.5))


@pytest.fixture
def file(tmp_path: Path) -> PinFile:
    return PinFile(tmp_path / "state" / "pins" / "key.json")


def test_no_file_is_an_empty_book(file: PinFile) -> None:
    assert file.read() == {}


def test_what_was_entered_comes_back(file: PinFile) -> None:
    file.update([pin("a")])
    file.update([pin("b")])

    book = file.read()
    assert list(book["up"]) == ["a", "b"]
    pinned = book["up"]["a"].pinned
    assert pinned is not None
    assert (pinned.digest, pinned.at, pinned.decoded()["name"]) == (offered(name="a").digest, 1.5, "a")


def test_the_file_belongs_to_its_owner_alone(file: PinFile) -> None:
    file.update([pin("a")])
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.path.parent.stat().st_mode) == 0o700


def test_nothing_new_is_not_written(file: PinFile) -> None:
    file.update([pin("a")])
    before = file.path.stat()
    file.update([pin("a")])
    assert file.path.stat() == before


@pytest.mark.parametrize(
    "content", [b"", b"{", b"\xff", b"[]", b'{"format":1}', b'{"format":2,"servers":{}}', b"[" * 100_000]
)
def test_a_broken_file_is_an_error_and_stays_as_it_is(file: PinFile, content: bytes) -> None:
    file.path.parent.mkdir(parents=True)
    file.path.write_bytes(content)

    with pytest.raises(PinsUnreadable, match=file.path.name):
        file.read()
    with pytest.raises(PinsUnreadable):
        file.update([pin("a")])
    assert file.path.read_bytes() == content


def test_a_place_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "state").touch()
    file = PinFile(tmp_path / "state" / "key.json")
    assert file.read() == {}
    with pytest.raises(OSError, match="exists"):
        file.update([pin("a")])


def test_several_writers_lose_nothing(file: PinFile) -> None:
    together = threading.Barrier(4)

    def write(number: int) -> None:
        together.wait()
        for step in range(10):
            file.update([pin(f"{number}-{step}")])

    writers = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert len(file.read()["up"]) == 40


def test_a_writer_does_not_wait_for_ever(file: PinFile) -> None:
    file.update([pin("a")])
    with held_elsewhere(file.path.with_suffix(".lock")), pytest.raises(TimeoutError, match=r"held it for 0\.05 s"):
        file.update([pin("b")], within_s=0.05)
    assert list(file.read()["up"]) == ["a"]
