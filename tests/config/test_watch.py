"""A change is noticed once, when the file has come to rest."""

from __future__ import annotations

import os
from pathlib import Path

import anyio
from mcp_gateway.config import load_config
from mcp_gateway.config.watch import changes, signature, sources


class Watched:
    """Counts what `changes` yields for one file."""

    def __init__(self, *files: Path) -> None:
        self.count = 0
        self._files = files
        self._heard = anyio.Event()
        self._looked = anyio.Event()

    def files(self) -> tuple[Path, ...]:
        self._looked.set()
        self._looked = anyio.Event()
        return self._files

    async def looks(self, times: int) -> None:
        """Wait until it has looked that often again."""
        with anyio.fail_after(10):
            for _ in range(times):
                await self._looked.wait()

    async def run(self) -> None:
        async for _ in changes(signature(self._files), self.files, lambda: 0.05):
            self.count += 1
            self._heard.set()
            self._heard = anyio.Event()

    async def change(self) -> None:
        with anyio.fail_after(10):
            await self._heard.wait()


def test_sources_are_the_file_its_env_files_and_the_stored_secrets(tmp_path: Path) -> None:
    (tmp_path / "more.env").write_text("")
    (tmp_path / "gateway.yaml").write_text("env_files: [more.env, ~/own.env]\n")
    (tmp_path / "own.env").write_text("")
    environ = {"HOME": str(tmp_path)}
    config = load_config(tmp_path / "gateway.yaml", environ=environ)

    names = [file.name for file in sources(config, environ)]
    assert names == ["gateway.yaml", ".env", "more.env", "own.env", "secrets.json"]


def test_a_signature_tells_contents_apart_although_size_and_time_agree(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("a")
    status = file.stat()
    before = signature([file])
    replacement = tmp_path / "new"
    replacement.write_text("b")
    os.utime(replacement, ns=(status.st_atime_ns, status.st_mtime_ns))
    replacement.replace(file)

    assert signature([file]) != before
    assert signature([tmp_path / "none"]) == (None,)


async def test_a_missing_file_is_no_change_but_its_return_is(tmp_path: Path) -> None:
    file, other = tmp_path / "file", tmp_path / "other"
    file.write_text("a")
    watched = Watched(file, other)
    async with anyio.create_task_group() as group:
        group.start_soon(watched.run)
        await watched.looks(2)
        file.unlink()
        await watched.looks(4)
        assert watched.count == 0
        file.write_text("new")
        await watched.change()
        group.cancel_scope.cancel()

    assert watched.count == 1


async def test_a_second_file_counts_too(tmp_path: Path) -> None:
    file, other = tmp_path / "file", tmp_path / "other"
    file.write_text("a")
    watched = Watched(file, other)
    async with anyio.create_task_group() as group:
        group.start_soon(watched.run)
        await watched.looks(2)
        other.write_text("now there")
        await watched.change()
        other.unlink()
        await watched.change()
        group.cancel_scope.cancel()

    assert watched.count == 2
