"""Names given out are on disk until their server leaves the configuration."""

from __future__ import annotations

from pathlib import Path

import pytest
from mcp_gateway.catalog import Kind
from mcp_gateway.upstream.kept_names import KeptNames

NAMES = {(Kind.TOOL, "a", "x"): "x", (Kind.PROMPT, "b", "x"): "x", (Kind.TOOL, "b", "x"): "b__x"}


def test_saved_names_come_back(tmp_path: Path) -> None:
    KeptNames(tmp_path / "names" / "n.json").save(NAMES)

    assert KeptNames(tmp_path / "names" / "n.json").load({"a", "b"}) == NAMES


def test_names_of_a_server_that_left_do_not(tmp_path: Path) -> None:
    KeptNames(tmp_path / "n.json").save(NAMES)

    assert KeptNames(tmp_path / "n.json").load({"a"}) == {(Kind.TOOL, "a", "x"): "x"}


def test_nothing_new_is_not_written(tmp_path: Path) -> None:
    kept = KeptNames(tmp_path / "n.json")
    kept.save({})
    assert not (tmp_path / "n.json").exists()

    kept.save(NAMES)
    (tmp_path / "n.json").unlink()
    kept.save(dict(NAMES))
    assert not (tmp_path / "n.json").exists()


@pytest.mark.parametrize("content", ["", "{", '{"format": 2, "names": []}', '{"format": 1, "names": [1]}', "[" * 9999])
def test_a_file_that_cannot_be_used_counts_as_empty(tmp_path: Path, content: str) -> None:
    (tmp_path / "n.json").write_text(content)

    assert KeptNames(tmp_path / "n.json").load({"a", "b"}) == {}


def test_an_unwritable_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "folder").write_text("in the way")

    with pytest.raises(OSError, match="folder"):
        KeptNames(tmp_path / "folder" / "n.json").save(NAMES)


def test_the_file_is_private_and_nothing_else_is_left(tmp_path: Path) -> None:
    KeptNames(tmp_path / "n.json").save(NAMES)

    assert [(path.name, path.stat().st_mode & 0o777) for path in tmp_path.iterdir()] == [("n.json", 0o600)]
