"""The disk tier in bad times: it has nothing, says so once, and comes back."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from mcp_gateway.cache import Entry, SqliteCache, TieredCache, open_cache, steady_clock
from mcp_gateway.cache.sqlite import RETRY_S

from tests.fakes.clock import Clock
from tests.support import require

NOBODY = 65534


@contextmanager
def peer(what: str, path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process at the file, once it says that it is ready; killed in the end."""
    argv = [sys.executable, "-m", "tests.cache.peer", what, str(path)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "cache.sqlite"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@contextmanager
def disk(path: Path, clock: Clock) -> Iterator[SqliteCache]:
    cache = SqliteCache(path, clock=clock)
    try:
        yield cache
    finally:
        cache.close()


def filled(path: Path, clock: Clock, rows: int = 1) -> None:
    with disk(path, clock) as cache:
        for i in range(rows):
            cache.set(f"k{i}", b"value" * 200)
        assert cache.drain(10)


def works(cache: SqliteCache) -> bool:
    """True when a value makes the trip through the file."""
    cache.set("probe", b"yes")
    return cache.drain(10) and cache.get("probe") == b"yes" and cache.stats().state == "ok"


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelname in ("WARNING", "ERROR")]


def test_a_file_locked_before_opening_is_left_alone_until_it_is_free(
    path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    filled(path, clock)
    with disk(path, clock) as cache:
        with peer("lock", path):
            started = time.monotonic()
            assert cache.get("k0") is None
            assert time.monotonic() - started < 1.5
            cache.set("other", b"v")
            assert cache.get("other") is None
            clock.advance(RETRY_S)
            assert cache.get("k0") is None
        assert len(warnings(caplog)) == 1
        assert cache.get("k0") is None, "not yet time to try again"
        clock.advance(RETRY_S)
        assert cache.get("k0") == b"value" * 200
        assert works(cache)


def test_a_file_locked_for_writing_is_read_and_later_written(
    path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    filled(path, clock)
    with disk(path, clock) as cache:
        assert cache.get("k0") is not None
        with peer("lock-writes", path):
            assert cache.get("k0") is not None
            cache.set("lost", b"v")
            assert cache.drain(10)
            assert cache.stats().state == "down"
            assert cache.stats().dropped == 1
        assert len(warnings(caplog)) == 1
        clock.advance(RETRY_S)
        assert works(cache)


def test_a_flush_during_an_outage_is_written_afterwards(path: Path, clock: Clock) -> None:
    first = open_cache(path=path, clock=clock)
    first.store("k", Entry(b"v", clock(), clock() + 600, clock() + 600, "one"))
    first.get("unknown")
    with peer("lock-writes", path):
        first.flush("one")
        assert first.get("unknown") is None
    clock.advance(RETRY_S)
    first.get("unknown")
    first.close()
    second = open_cache(path=path, clock=clock)
    assert second.get("k") is None
    second.close()


def test_a_file_that_is_no_database_is_moved_aside(path: Path, clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    filled(path, clock)
    path.write_bytes(random.Random(1).randbytes(20_000))
    with disk(path, clock) as cache:
        assert cache.get("k0") is None
        assert cache.drain(5)
        assert not path.exists()
        assert path.with_name(f"cache.sqlite.corrupt-{int(clock())}").stat().st_size == 20_000
        assert len(warnings(caplog)) == 1
        clock.advance(RETRY_S)
        assert works(cache)


def test_broken_files_do_not_pile_up(path: Path, clock: Clock) -> None:
    with disk(path, clock) as cache:
        for _ in range(3):
            filled(path, clock)
            path.write_bytes(b"junk" * 5000)
            assert cache.get("k0") is None
            clock.advance(RETRY_S)
        assert len(list(path.parent.glob("*.corrupt-*"))) == 1


@pytest.mark.parametrize("seed", range(6))
def test_random_bytes_in_pages_never_fail_a_call_nor_serve_a_wrong_value(
    path: Path, clock: Clock, seed: int, caplog: pytest.LogCaptureFixture
) -> None:
    filled(path, clock, rows=400)
    chance = random.Random(seed)
    damaged = bytearray(path.read_bytes())
    for _ in range(40):
        at = chance.randrange(100, len(damaged) - 200)
        damaged[at : at + 150] = chance.randbytes(150)
    path.write_bytes(damaged)
    with disk(path, clock) as cache:
        for i in range(400):
            assert cache.get(f"k{i}") in (None, b"value" * 200)
            cache.set(f"k{i}", b"value" * 200)
        cache.purge()
        cache.clear("one")
        assert cache.drain(20)
        assert len(warnings(caplog)) <= 1
        for _ in range(3):
            clock.advance(RETRY_S)
            cache.purge()
            cache.get("k0")
            assert cache.drain(20)
        path.unlink(missing_ok=True)
        cache.get("k0")
        clock.advance(RETRY_S)
        assert works(cache)


@pytest.mark.parametrize("what", ["file", "folder", "replaced"])
def test_a_file_that_disappears_is_made_again(
    path: Path, clock: Clock, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    with disk(path, clock) as cache:
        assert works(cache)
        if what == "folder":
            shutil.rmtree(path.parent)
        else:
            path.unlink()
        if what == "replaced":
            path.write_bytes(b"")
        assert cache.get("probe") is None
        cache.set("dropped", b"v")
        assert len(warnings(caplog)) == 1
        clock.advance(RETRY_S)
        assert works(cache)


@contextmanager
def full_disk() -> Iterator[Path]:
    """A folder on a file system of one MiB."""
    folder = Path(tempfile.mkdtemp())
    try:
        require(shutil.which("mount") is not None, "a full disk needs the command mount")
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], capture_output=True)
        require(mounted.returncode == 0, "a full disk needs the right to mount; run as root")
        try:
            yield folder
        finally:
            subprocess.run(["umount", folder], check=True)
    finally:
        folder.rmdir()


def test_a_full_disk_costs_one_warning_and_no_call(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    with full_disk() as folder, disk(folder / "state" / "cache.sqlite", clock) as cache:
        for i in range(60):
            cache.set(f"k{i}", bytes(40_000).replace(b"\0", b"x"))
            assert cache.drain(10)
            clock.advance(RETRY_S)
            assert cache.get(f"k{i}") in (None, bytes(40_000).replace(b"\0", b"x"))
        assert cache.stats().dropped > 0
        refusals = [text for text in warnings(caplog) if "full" in text]
        assert len(refusals) >= 1
        assert len(refusals) <= 1 + caplog.text.count("cache.disk.back")


def test_a_file_that_may_not_grow_costs_no_call(path: Path) -> None:
    """RLIMIT_FSIZE in a child, since it holds for a whole process."""
    child = (
        "import resource, signal, sys\n"
        "from pathlib import Path\n"
        "from mcp_gateway.cache import SqliteCache\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))\n"
        "cache = SqliteCache(Path(sys.argv[1]))\n"
        "for i in range(100):\n"
        "    cache.set(str(i), b'x' * 10_000)\n"
        "    assert cache.drain(5)\n"
        "    assert cache.get(str(i)) in (None, b'x' * 10_000)\n"
        "assert cache.stats().dropped > 0\n"
        "cache.close()\n"
    )
    done = subprocess.run([sys.executable, "-c", child, str(path)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(not hasattr(os, "seteuid"), reason="needs users")
def test_a_read_only_file_costs_one_warning_and_is_left_as_it_is(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    folder = Path(tempfile.mkdtemp())
    path = folder / "cache.sqlite"
    filled(path, clock)
    path.chmod(0o400)
    if os.geteuid() == 0:
        for file in (folder, *folder.iterdir()):
            os.chown(file, NOBODY, NOBODY)
        os.seteuid(NOBODY)
    try:
        with disk(path, clock) as cache:
            assert cache.get("k0") in (None, b"value" * 200)
            cache.set("k", b"v")
            assert cache.drain(5)
            assert cache.get("k") is None
            assert cache.stats().state == "down"
        assert len(warnings(caplog)) == 1
        assert path.stat().st_mode & 0o777 == 0o400
    finally:
        if os.getuid() == 0:
            os.seteuid(0)
        shutil.rmtree(folder)


def test_a_folder_that_cannot_be_made_costs_one_warning(
    tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "state").write_text("a file where the folder should be")
    with disk(tmp_path / "state" / "cache.sqlite", clock) as cache:
        for _ in range(3):
            assert cache.get("k") is None
            cache.set("k", b"v")
            clock.advance(RETRY_S)
        assert len(warnings(caplog)) == 1


def test_a_writer_killed_again_and_again_leaves_a_sound_file_and_true_rows(path: Path) -> None:
    chance = random.Random(7)
    for _ in range(6):
        with peer("write", path) as process:
            time.sleep(chance.uniform(0.05, 0.4))  # the moment of the kill is the subject
            process.kill()
        with closing(sqlite3.connect(path)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    cache = SqliteCache(path, clock=steady_clock())
    values = [cache.lookup(f"k{i}") for i in range(500)]
    cache.close()
    for found in (entry.value for entry in values if entry):
        number = int(found.split(b":")[0])
        assert found == b"%d:" % number * (number % 300 + 1)
    assert sum(entry is not None for entry in values) > 200


@pytest.fixture
def bad_path(path: Path) -> Path:
    path.parent.mkdir()
    path.write_bytes(b"junk" * 5000)
    return path


async def test_a_tiered_cache_over_a_bad_file_serves_from_memory(bad_path: Path, clock: Clock) -> None:
    cache: TieredCache = open_cache(path=bad_path, clock=clock)
    cache.set("k", b"v")
    assert cache.get("k") == b"v"
    assert await cache.fetch("other") is None
    assert cache.stats().tiers["disk"].state == "down"
    cache.close()
