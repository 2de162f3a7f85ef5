"""The run file: who may read it, whom it names, when it goes."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from mcp_gateway.downstream.runfile import RunFile


def run_file(folder: Path) -> RunFile:
    return RunFile(folder, folder / "gateway.yaml")


def test_what_was_written_is_read(tmp_path: Path) -> None:
    written = run_file(tmp_path).write("http://127.0.0.1:1")

    assert run_file(tmp_path).read() == written
    assert (written.pid, written.url) == (os.getpid(), "http://127.0.0.1:1")
    assert len(written.token) >= 32


def test_only_its_owner_may_read_it(tmp_path: Path) -> None:
    file = run_file(tmp_path)
    file.write("http://127.0.0.1:1")

    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.path.parent.stat().st_mode) == 0o700


def test_each_configuration_has_its_own(tmp_path: Path) -> None:
    assert RunFile(tmp_path, tmp_path / "a.yaml").path != RunFile(tmp_path, tmp_path / "b.yaml").path


def test_the_way_to_the_configuration_does_not_matter(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "linked").symlink_to(tmp_path, target_is_directory=True)
    straight = RunFile(tmp_path, tmp_path / "a.yaml").path

    assert RunFile(tmp_path, tmp_path / "inner" / ".." / "a.yaml").path == straight
    assert RunFile(tmp_path, tmp_path / "linked" / "a.yaml").path == straight


def test_a_configuration_that_is_a_link_is_known_by_its_own_name(tmp_path: Path) -> None:
    (tmp_path / "link.yaml").symlink_to(tmp_path / "a.yaml")

    assert RunFile(tmp_path, tmp_path / "link.yaml").path != RunFile(tmp_path, tmp_path / "a.yaml").path


def test_it_is_removed_by_its_process(tmp_path: Path) -> None:
    file = run_file(tmp_path)
    file.write("http://127.0.0.1:1")

    file.remove()

    assert list(file.path.parent.iterdir()) == []
    file.remove()


def test_another_processs_file_stays(tmp_path: Path) -> None:
    file = run_file(tmp_path)
    file.write("http://127.0.0.1:1")
    file.path.write_text(json.dumps({"pid": os.getppid(), "url": "http://127.0.0.1:2", "token": "t"}))

    file.remove()

    assert file.read() is not None


def test_a_file_of_a_dead_process_counts_as_none(tmp_path: Path) -> None:
    ended = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    file = run_file(tmp_path)
    file.write("http://127.0.0.1:1")
    file.path.write_text(json.dumps({"pid": int(ended.stdout), "url": "http://127.0.0.1:1", "token": "t"}))

    assert file.read() is None


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"pid":"x","url":"","token":""}', "[" * 100_000, '{"pid":1e30}'])
def test_a_damaged_file_counts_as_none(tmp_path: Path, text: str) -> None:
    file = run_file(tmp_path)
    file.write("http://127.0.0.1:1")
    file.path.write_text(text)

    assert file.read() is None


def test_no_file_is_none(tmp_path: Path) -> None:
    assert run_file(tmp_path).read() is None


def test_a_second_gateway_leaves_the_announcement_of_the_first(tmp_path: Path) -> None:
    program = (
        "import sys, socket; listener = socket.create_server(('127.0.0.1', 0));"
        "print(listener.getsockname()[1], flush=True); sys.stdin.read()"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as first:
        assert first.stdout is not None
        url = f"http://127.0.0.1:{int(first.stdout.readline())}"
        file = run_file(tmp_path)
        file.write(url)
        announced = {**json.loads(file.path.read_bytes()), "pid": first.pid}
        file.path.write_text(json.dumps(announced))
        file.write("http://127.0.0.1:1")
        file.remove()
        assert json.loads(file.path.read_bytes()) == announced
        first.communicate()

    file.write("http://127.0.0.1:1")  # it has gone: its announcement counts no more
    assert json.loads(file.path.read_bytes())["pid"] == os.getpid()
