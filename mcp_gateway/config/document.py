"""A configuration file to a tree: which language it is in, and the caps on what is read."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from mcp_gateway.config.json_text import read_json
from mcp_gateway.config.problems import Report, one_line
from mcp_gateway.config.toml_text import read_toml
from mcp_gateway.config.tree import Items, Leaf, Mark, Node, Table, dotted
from mcp_gateway.config.yaml_text import read_yaml
from mcp_gateway.errors import BadConfig

MAX_FILE_BYTES: Final = 1024 * 1024
"""Largest file read. Our choice: real ones have some kilobytes."""

Reader = Callable[[str, Report], Node | None]

READERS: Final[Mapping[str, Reader]] = {
    ".yaml": read_yaml,
    ".yml": read_yaml,
    ".json": read_json,
    ".jsonc": read_json,
    ".json5": read_json,
    ".toml": read_toml,
}

_TOML_FIRST_LINE = re.compile(r"\s*(\[+[\w\s.\"'-]+\]+|[\w.\"'-]+\s*=)")


_SURROGATE = re.compile("[\ud800-\udfff]")


class Unreadable(Exception):
    """A file could not be read as text; the message says why and shows no path."""


def read_document(path: Path, report: Report) -> Table:
    """The mapping in the file at `path`.

    Raises:
        BadConfig: it cannot be read, or holds no mapping. Duplicate keys only go to the report.
    """
    try:
        text = read_text(path)
    except Unreadable as reason:
        raise BadConfig(one_line(f"{report.file}: {reason}")) from None
    reader = READERS.get(path.suffix.lower()) or reader_by_content(text)
    root = reader(text, report)
    if root is None or (isinstance(root, Leaf) and root.text is None):
        raise report.fail(Mark(1, 1), "the file is empty; it needs at least 'mcpServers:'")
    if not isinstance(root, Table):
        raise report.fail(root.mark, f"expected a mapping of settings, found {kind(root)}")
    _check_surrogates(root, report)
    return root


def read_text(path: Path) -> str:
    """The text of a regular file of at most `MAX_FILE_BYTES`, UTF-8 with or without a byte order mark.

    Raises:
        Unreadable: always, when that cannot be had.
    """
    try:
        if not path.exists():
            raise Unreadable("no such file")
        if not path.is_file():
            raise Unreadable("not a regular file")
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise Unreadable(f"cannot be read ({error.strerror})") from None
    if len(data) > MAX_FILE_BYTES:
        raise Unreadable("larger than 1 MiB")
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise Unreadable(f"not UTF-8 text (line {line})") from None


def reader_by_content(text: str) -> Reader:
    """The language of a file whose name does not tell.

    1. The first character that counts opens a JSON value: JSON.
    2. The first line that counts is a TOML header or assignment: TOML.
    3. Else YAML.
    """
    lines = (line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#"))
    first = next(lines, "").lstrip()
    if first.startswith(("{", "//", "/*")):
        return read_json
    return read_toml if _TOML_FIRST_LINE.match(first) else read_yaml


def kind(node: Node) -> str:
    """What a node is, in the words of messages."""
    if isinstance(node, Leaf):
        return "nothing" if node.text is None else "text"
    return "a mapping" if isinstance(node, Table) else "a list"


def _check_surrogates(node: Node, report: Report, path: str = "") -> None:
    """JSON can spell half a character; no socket, file or process could ever take it."""
    if isinstance(node, Leaf):
        if _SURROGATE.search(node.text or ""):
            report.problem(node.mark, path, "half a character (a lone surrogate escape)")
    elif isinstance(node, Items):
        for index, item in enumerate(node.items):
            _check_surrogates(item, report, f"{path}[{index}]")
    else:
        for entry in node.entries:
            if _SURROGATE.search(entry.key):
                report.problem(entry.mark, path, "half a character in a key (a lone surrogate escape)")
            _check_surrogates(entry.value, report, dotted(path, entry.key))
