"""Which language, and what is read at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from mcp_gateway.config import load_config
from mcp_gateway.errors import BadConfig

from tests.config.files import load


@pytest.mark.parametrize(
    "text",
    [
        '{"mcpServers": {"a": {"command": "x"}}}',
        '// host\n{\t"mcpServers": {"a": {"command": "x"}},}',
        '# a comment\n[mcpServers.a]\ncommand = "x"\n',
        'mcpServers.a.command = "x"\n',
        "mcpServers:\n  a: {command: x}\n",
    ],
)
def test_an_unknown_ending_is_told_by_content(tmp_path: Path, text: str) -> None:
    assert list(load(tmp_path, text, "settings.conf").servers) == ["a"]


def test_windows_line_ends_are_fine(tmp_path: Path) -> None:
    (tmp_path / "gateway.yaml").write_bytes(b"mcpServers:\r\n  a: {command: x}\r\n")

    assert list(load_config(tmp_path / "gateway.yaml", environ={}).servers) == ["a"]


def refusal(path: Path) -> str:
    with pytest.raises(BadConfig) as refused:
        load_config(path, environ={})
    return refused.value.message


def test_a_missing_file_is_named_without_its_folder(tmp_path: Path) -> None:
    assert refusal(tmp_path / "gateway.yaml") == "gateway.yaml: no such file"


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    assert refusal(tmp_path) == f"{tmp_path.name}: not a regular file"


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "gateway.yaml")

    assert refusal(tmp_path / "gateway.yaml") == "gateway.yaml: not a regular file"


def test_a_large_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "gateway.yaml").write_bytes(b"#" * (1024 * 1024 + 1))

    assert refusal(tmp_path / "gateway.yaml") == "gateway.yaml: larger than 1 MiB"


def test_other_encodings_are_refused(tmp_path: Path) -> None:
    (tmp_path / "gateway.yaml").write_bytes("a: 1\nb: ü".encode("latin-1"))

    assert refusal(tmp_path / "gateway.yaml") == "gateway.yaml: not UTF-8 text (line 2)"


def test_an_impossible_name_is_no_file() -> None:
    assert refusal(Path("a\x00b")) == "a\\x00b: no such file"


def test_a_file_that_everybody_may_change_is_noted(tmp_path: Path) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_text("mcpServers: {}\n")
    path.chmod(0o666)

    notes = load_config(path, environ={}).notes
    assert notes == ("gateway.yaml:1:1: everybody on this machine may change this file, and so what is run",)


def test_a_name_that_no_file_can_have_is_refused(tmp_path: Path) -> None:
    """Newer Pythons say that there is no such file."""
    name = "a" * 300

    assert refusal(tmp_path / name) in (f"{name}: cannot be read (File name too long)", f"{name}: no such file")
