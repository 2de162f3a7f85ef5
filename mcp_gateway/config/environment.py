"""Where references find their values: the environment, then `.env` files.

The real environment always wins over the files; a later file wins over an earlier one.
Values in the files are literal: `$` has no meaning there.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mcp_gateway.config.document import read_text
from mcp_gateway.config.problems import Report
from mcp_gateway.config.tree import Mark

DOTENV = ".env"


@dataclass(frozen=True, slots=True)
class Environment:
    """What references are resolved against. `folder` is the configuration file's own."""

    folder: Path
    real: Mapping[str, str]
    files: Mapping[str, str] = field(default_factory=dict)

    def get(self, name: str) -> str | None:
        value = self.real.get(name)
        return self.files.get(name) if value is None else value

    def path(self, text: str) -> Path:
        return absolute(text, self.folder, self.real)

    def with_file(self, file: EnvFile) -> Environment:
        return Environment(self.folder, self.real, {**self.files, **file.values})


@dataclass(frozen=True, slots=True)
class EnvFile:
    """What one `.env` file says; `notes` are lines `file:line:col: text` about what could not be read."""

    values: Mapping[str, str]
    notes: tuple[str, ...]


def absolute(text: str, folder: Path, real: Mapping[str, str]) -> Path:
    """`text` as a path below `folder`, unless it is absolute or starts with `~`, the home folder."""
    home = real.get("HOME")
    if home and (text == "~" or text.startswith("~/")):
        text = home + text[1:]
    return folder / text


def read_env_file(path: Path) -> EnvFile:
    """Read `NAME=value` lines.

    Raises:
        Unreadable: there is no such text file.
    """
    from dotenv.parser import parse_stream  # here: most starts read no such file, and it costs 30 ms (2026-11-24)

    values: dict[str, str] = {}
    report = Report(path.name)
    line = 1
    for binding in parse_stream(io.StringIO(read_text(path))):
        source = binding.original.string
        if binding.error:
            blank_lines = len(source) - len(source.lstrip("\n"))
            report.note(Mark(line + blank_lines, 1), "", "not an assignment NAME=value; ignored")
        elif binding.key is not None and binding.value is not None:
            values[binding.key] = binding.value
        line += source.count("\n")
    return EnvFile(values, report.rendered_notes())
