"""Nothing outside the allowed folders is reached, whatever the path says."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from mcp_gateway.builtin.roots import file_below, folder_below
from mcp_gateway.errors import InvalidParams

NOWHERE = "there is no such file below roots"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An allowed folder with a file, beside a secret."""
    root = tmp_path / "allowed"
    (root / "src").mkdir(parents=True)
    (root / "src" / "a.py").write_text("x = 1")
    (tmp_path / "secret").write_text("s3cret")
    (tmp_path / "allowed-too").mkdir()
    (tmp_path / "allowed-too" / "b.py").write_text("y = 2")
    return root


def read(path: str, root: Path) -> bytes:
    return file_below(path, [root], "roots", 100)


def test_a_relative_path_is_read_from_the_root(root: Path) -> None:
    assert read("src/a.py", root) == b"x = 1"


def test_an_absolute_path_below_the_root_is_read(root: Path) -> None:
    assert read(str(root / "src" / "a.py"), root) == b"x = 1"


def test_the_second_root_is_looked_into_as_well(root: Path) -> None:
    assert file_below("b.py", [root, root.parent / "allowed-too"], "roots", 100) == b"y = 2"


def test_a_root_that_is_itself_a_link_is_the_operators_choice(root: Path) -> None:
    alias = root.parent / "alias"
    alias.symlink_to(root)

    assert read(str(alias / "src" / "a.py"), alias) == b"x = 1"
    assert read(str(root / "src" / "a.py"), alias) == b"x = 1"


@pytest.mark.parametrize(
    "path",
    [
        "../secret",
        "src/../../secret",
        "src/../src/a.py",
        "./../secret",
        "..",
        "/etc/passwd",
        "//etc/passwd",
        "~/secret",
        "%2e%2e/secret",
        "..%2fsecret",
        "..\\secret",
        "src/a.py/../../../secret",
        "src/a.py/x",
        "file:///etc/passwd",
        "/proc/self/environ",
        "/dev/zero",
        "absent",
        "\ud800",
    ],
)
def test_a_path_that_leads_out_or_nowhere_is_not_there(path: str, root: Path) -> None:
    with pytest.raises(InvalidParams, match=NOWHERE):
        read(path, root)


def test_a_neighbour_whose_name_begins_alike_is_outside(root: Path) -> None:
    with pytest.raises(InvalidParams, match=NOWHERE):
        read(str(root.parent / "allowed-too" / "b.py"), root)


@pytest.mark.parametrize("path", ["", "a\0b", "a/" * 3000])
def test_a_path_that_is_none_is_refused(path: str, root: Path) -> None:
    with pytest.raises(InvalidParams, match="empty, too long, or holds a NUL"):
        read(path, root)


def test_links_are_not_followed_at_the_end_or_on_the_way(root: Path) -> None:
    (root / "link").symlink_to(root.parent / "secret")
    (root / "away").symlink_to(root.parent)
    (root / "inside").symlink_to(root / "src")

    for path in ("link", "away/secret", "inside/a.py"):
        with pytest.raises(InvalidParams, match="symbolic link"):
            read(path, root)


def test_a_folder_is_no_file(root: Path) -> None:
    with pytest.raises(InvalidParams, match="no regular file"):
        read("src", root)


def test_a_pipe_is_refused_without_waiting_for_a_writer(root: Path) -> None:
    os.mkfifo(root / "pipe")

    with pytest.raises(InvalidParams, match="no regular file"):
        read("pipe", root)


def test_a_file_that_is_too_large_is_refused_with_its_size(root: Path) -> None:
    (root / "large").write_bytes(b"x" * 101)

    with pytest.raises(InvalidParams, match="has 101 bytes; at most 100"):
        read("large", root)


def test_a_folder_below_the_root_is_resolved(root: Path) -> None:
    assert folder_below("src", [root], "workdirs") == root / "src"
    assert folder_below(str(root), [root], "workdirs") == root


@pytest.mark.parametrize("path", ["..", "src/a.py", "absent", "/"])
def test_a_folder_that_is_none_or_outside_is_not_there(path: str, root: Path) -> None:
    with pytest.raises(InvalidParams, match="no such folder below workdirs"):
        folder_below(path, [root], "workdirs")
