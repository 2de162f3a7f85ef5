"""The table of requirements and the tests named after them agree."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path

TESTS = Path(__file__).parents[1]
TABLE = TESTS.parent / "docs" / "requirements.md"

IDS = [
    "R-ASK-1",
    "R-AUTH-1",
    "R-AUTH-2",
    "R-CACHE-1",
    "R-CACHE-2",
    "R-CACHE-3",
    "R-CAP-1",
    "R-CHILD-1",
    "R-CRED-1",
    "R-HDR-1",
    "R-LOG-1",
    "R-NAME-1",
    "R-ORIGIN-1",
    "R-PARSE-1",
    "R-PATH-1",
    "R-PIN-1",
    "R-POIS-1",
    "R-RETRY-1",
    "R-SEC-1",
    "R-SESS-1",
    "R-SIG-1",
    "R-SLOW-1",
    "R-SSRF-1",
    "R-STDIO-1",
    "R-SUP-1",
    "R-WS-1",
    "R-ZIP-1",
]
"""Those of the threat model whose tests are named after them."""

_NAMED = re.compile(r"test_(r_[a-z]+_\d)_")
_ROW = re.compile(r"^\| (R-[A-Z]+-\d) \| .+ \| (.+) \|$", re.MULTILINE)


def named() -> dict[str, set[str]]:
    """Requirement -> the files with tests named after it."""
    found: dict[str, set[str]] = defaultdict(set)
    for path in TESTS.rglob("test_*.py"):
        text = path.read_text(encoding="utf-8")
        if "def test_r_" not in text:
            continue
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (match := _NAMED.match(node.name)):
                found[match[1].upper().replace("_", "-")].add(f"tests/{path.relative_to(TESTS).as_posix()}")
    return dict(found)


def table() -> dict[str, set[str]]:
    """Requirement -> the files that the table names."""
    return {id: set(re.findall(r"`([^`]+)`", files)) for id, files in _ROW.findall(TABLE.read_text(encoding="utf-8"))}


def test_every_requirement_stands_in_the_table() -> None:
    assert list(table()) == IDS


def test_what_the_table_names_holds_a_test_of_the_requirement() -> None:
    found = named()
    for id, files in table().items():
        assert files, f"{id}: the table names no file"
        assert files <= found.get(id, set()), f"{id}: no test named after it in {files - found.get(id, set())}"
