"""The worker's readers, in this process; and the worker itself where no extra is installed."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from mcp_gateway.builtin.analysis.languages import BY_NAME
from mcp_gateway.builtin.analysis.worker import lines, main, run

from tests.support import require

MAIN = Path(main.__file__)


def task(language: str, **more: Any) -> dict[str, Any]:
    return {
        "language": language,
        "line_comment": "#",
        "block_comment": None,
        "grammar": None,
        "suffix": None,
        "memory_bytes": 256 << 20,
        "cpu_s": 5,
        **more,
    }


def read(language: str, code: str) -> dict[str, Any]:
    """With the extra, in this process."""
    known = BY_NAME[language]
    require(find_spec("tree_sitter") is not None, "pip install 'mcp-gateway-server[analysis]'")
    return run.analyze(task(language, grammar=known.grammar, suffix=known.suffixes[0]), code)


def functions(code: str) -> dict[str, int]:
    return {found["name"]: found["complexity"] for found in run.analyze(task("python"), code)["functions"]}


@pytest.mark.parametrize(
    ("body", "complexity"),
    [
        ("pass", 1),
        ("if a: pass", 2),
        ("if a: pass\n  elif b: pass\n  else: pass", 3),
        ("for x in a: pass", 2),
        ("while a: pass", 2),
        ("return 1 if a else 2", 2),
        ("return a and b or c", 3),
        ("return [x for x in a if x if not x]", 4),
        ("try: pass\n  except A: pass\n  except B: pass", 3),
        ("match a:\n    case 1: pass\n    case _: pass", 3),
        ("with a: pass", 1),
    ],
)
def test_complexity_counts_decisions(body: str, complexity: int) -> None:
    assert functions(f"def f(a, b, c):\n  {body}\n") == {"f": complexity}


def test_what_stands_inside_a_function_counts_for_itself() -> None:
    code = "def f():\n  def g(a):\n    if a: pass\n  class C:\n    def m(self, b):\n      if b: pass\n"

    assert functions(code) == {"f": 1, "f.g": 2, "f.C.m": 2}


def test_parameters_of_every_kind_are_named() -> None:
    found = run.analyze(task("python"), "async def f(a, /, b, *c, d=1, **e): ...")["functions"]

    assert found[0]["params"] == ["a", "b", "*c", "d", "**e"]


def test_imports_are_named_as_written() -> None:
    found = run.analyze(task("python"), "import os.path, sys\nfrom . import x\nfrom ..a import b")["imports"]

    assert [one["name"] for one in found] == ["os.path", "sys", ".", "..a"]


def test_a_syntax_error_has_line_and_column_from_one() -> None:
    (problem,) = run.analyze(task("python"), "x = 1\ny = = 2\n")["syntax_errors"]

    assert (problem["line"], problem["column"], problem["message"]) == (2, 5, "invalid syntax")


@pytest.mark.parametrize("code", ["-" * 100_000 + "1", "lambda: " * 20_000 + "1", "a" + ".b" * 100_000])
def test_code_that_is_nested_too_deeply_is_said_to_be(code: str) -> None:
    report = run.analyze(task("python"), code)

    assert report["warnings"] == ["it is nested too deeply to be parsed"]
    assert report["lines"]["total"] == 1


def test_a_long_list_is_cut_and_said_to_be() -> None:
    report = run.analyze(task("python"), "\n".join(f"def f{n}(): pass" for n in range(600)))

    assert len(report["functions"]) == run.MAX_ITEMS
    assert report["warnings"] == ["600 functions were found; the first 500 are listed"]
    assert report["complexity"] == {"max": 1, "mean": 1.0}


def test_json_says_where_it_breaks() -> None:
    (problem,) = run.analyze(task("json"), '{\n  "a": [1,}')["syntax_errors"]

    assert (problem["line"], problem["column"]) == (2, 11)


@pytest.mark.parametrize("code", ["[" * 100_000, '{"a": ' * 100_000])
def test_json_that_is_nested_too_deeply_is_said_to_be(code: str) -> None:
    assert run.analyze(task("json"), code)["warnings"] == ["it is nested too deeply to be parsed"]


def test_json_with_a_huge_number_is_no_trouble() -> None:
    assert run.analyze(task("json"), "1" * 100_000)["warnings"] == []


@pytest.mark.parametrize(
    ("code", "code_lines", "comment", "blank"),
    [
        ("", 0, 0, 0),
        ("x = 1  # why\n\n# because\n", 1, 1, 1),
        ("x = '\x0c\u2028'\r\n\r\ny", 2, 0, 1),
    ],
)
def test_lines_of_python_are_counted(code: str, code_lines: int, comment: int, blank: int) -> None:
    counts = lines.count(code, "#", None)

    assert (counts["code"], counts["comment"], counts["blank"]) == (code_lines, comment, blank)


@pytest.mark.parametrize(
    ("code", "code_lines", "comment", "blank"),
    [
        ("// one\nint a; // two\n", 1, 1, 0),
        ("/* a\n b\n\n*/ int c;\n", 1, 2, 1),
        ("/* a */\nint b; /* c\nd */\n", 1, 2, 0),
        ("int a; /* b */\nint c;\n", 2, 0, 0),
    ],
)
def test_lines_with_block_comments_are_counted(code: str, code_lines: int, comment: int, blank: int) -> None:
    counts = lines.count(code, "//", ["/*", "*/"])

    assert (counts["code"], counts["comment"], counts["blank"]) == (code_lines, comment, blank)


@pytest.mark.parametrize(
    ("language", "code", "classes", "imports"),
    [
        ("typescript", "import {b} from 'c'\ninterface A { a: number }", ["A"], ["c"]),
        ("rust", "use std::io;\nstruct S;\ntrait T {}", ["S", "T"], ["std::io"]),
        ("java", "import java.util.List;\nclass A { enum B { C } }", ["A", "B"], ["java.util.List"]),
        ("cpp", '#include <vector>\n#include "own.h"\nclass A {};', ["A"], ["vector", "own.h"]),
        ("go", 'package p\nimport "os"\ntype T struct{}', ["T"], ["os"]),
    ],
)
def test_classes_and_imports_are_named(language: str, code: str, classes: list[str], imports: list[str]) -> None:
    report = read(language, code)

    assert [one["name"] for one in report["classes"]] == classes
    assert [one["name"] for one in report["imports"]] == imports


def test_a_missing_and_an_unexpected_piece_are_told_apart() -> None:
    messages = [
        problem["message"] for problem in read("c", "int f() { return 1 }\nint g() { 2 2 2; }")["syntax_errors"]
    ]

    assert any(message.startswith("missing ;") for message in messages)
    assert any(message.startswith("unexpected ") for message in messages)


def test_what_is_not_measured_is_said() -> None:
    assert run.analyze(task("bash"), "f() { :; }")["warnings"] == [
        "syntax of bash is not checked: there is no grammar for it here",
        "functions of bash are not looked for in this version",
    ]


def test_a_text_that_the_parser_refuses_is_a_warning() -> None:
    assert run.analyze(task("python"), "'\ud800'")["warnings"][0].startswith("it cannot be parsed: ")


def without_extras(task: dict[str, Any], code: str) -> dict[str, Any]:
    """The worker as it runs where only the standard library is installed."""
    ran = subprocess.run(
        [sys.executable, "-I", "-S", str(MAIN)],
        input=json.dumps(task).encode() + b"\n" + code.encode(),
        capture_output=True,
        check=True,
        env={},
    )
    report: dict[str, Any] = json.loads(ran.stdout)
    return report


def test_python_needs_no_extra() -> None:
    report = without_extras(task("python"), "def f(): pass")

    assert [found["name"] for found in report["functions"]] == ["f"]
    assert report["warnings"] == []


def test_without_the_extra_other_languages_are_counted_and_the_extra_is_named() -> None:
    report = without_extras(task("go", grammar=["tree_sitter_go", "language"], suffix=".go"), "package main\n")

    assert report["lines"]["total"] == 1
    assert [warning.endswith("pip install 'mcp-gateway-server[analysis]'") for warning in report["warnings"]] == [
        True,
        True,
    ]


def test_what_is_read_is_never_run(tmp_path: Path) -> None:
    mark = tmp_path / "mark"

    without_extras(task("python"), f"open({str(mark)!r}, 'w')\nimport mcp_gateway\n")

    assert not mark.exists()
