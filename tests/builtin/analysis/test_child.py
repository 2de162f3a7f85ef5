"""An analysis, whatever the code does to its parser."""

from __future__ import annotations

from importlib.util import find_spec

import anyio
import pytest
from mcp_gateway.builtin.analysis.child import analyze
from mcp_gateway.builtin.analysis.languages import BY_NAME
from mcp_gateway.builtin.analysis.report import AnalysisResult

from tests.support import require

GO = """package main

import (
	"fmt"
	"os"
)

type Box struct{}

// Get is a method.
func (b Box) Get(a int) int {
	if a > 1 {
		return 2
	}
	return 1
}
"""


def needs(package: str) -> None:
    require(find_spec(package) is not None, f"{package} is missing: pip install 'mcp-gateway-server[analysis]'")


async def look(code: str, language: str = "python", timeout_s: float = 20.0) -> AnalysisResult:
    return await analyze(code.encode(), BY_NAME[language], timeout_s)


async def test_python_is_read_whole() -> None:
    found = await look("import os\n\n\nclass Box:\n    def get(self, a):\n        return a or os\n")

    assert [(one.name, one.line, one.end_line, one.complexity) for one in found.functions] == [("Box.get", 5, 6, 2)]
    assert [one.name for one in found.classes] == ["Box"]
    assert [one.name for one in found.imports] == ["os"]
    assert (found.lines.total, found.lines.blank, found.size_bytes) == (6, 2, 68)


async def test_security_rules_are_applied() -> None:
    needs("ruff")
    found = await look("import pickle\n\n\ndef f(text):\n    assert text\n    return pickle.loads(text), eval(text)\n")

    dangers = {(one.rule, one.line) for one in found.security if one.severity == "high"}
    assert dangers == {("S301", 6), ("S307", 6)}


async def test_common_mistakes_are_found() -> None:
    needs("ruff")
    found = await look("import os\n")

    assert [(one.rule, one.line) for one in found.lint] == [("F401", 1)]


async def test_every_syntax_error_is_found_at_once() -> None:
    needs("ruff")
    found = await look("def f(:\n    pass\n\n\nx = = 2\n")

    assert {1, 5} <= {problem.line for problem in found.syntax_errors}
    assert found.lint == []


async def test_a_project_cannot_change_the_rules() -> None:
    needs("ruff")
    found = await look("# ruff: noqa\nimport os\n")

    assert [one.rule for one in found.lint] == ["F401"]


async def test_another_language_is_read_with_the_extra() -> None:
    needs("tree_sitter_go")
    needs("lizard")
    found = await look(GO, "go")

    assert [(one.name, one.params, one.complexity) for one in found.functions] == [("Get", ["a int"], 2)]
    assert [one.name for one in found.classes] == ["Box"]
    assert [one.name for one in found.imports] == ["fmt", "os"]
    assert found.lines.comment == 1
    assert found.warnings == []


@pytest.mark.parametrize(
    ("language", "good", "bad"),
    [
        ("javascript", "class A { m(a) { return a ? 1 : 2 } }", "function f( {"),
        ("typescript", "interface A { a: number }", "interface A { a: }}"),
        ("tsx", "const a = <b>c</b>", "const a = <b>c</"),
        ("go", "package main\nfunc f() {}", "package main\nfunc f( {}"),
        ("rust", "fn f(a: i32) -> i32 { a }", "fn f(a i32) {"),
        ("java", "class A { void f(int a) {} }", "class A { void f(int a { }"),
        ("c", "int main(int c) { return c; }", "int main( { return"),
        ("cpp", "class A { int f(); };", "class A { int f( };"),
        ("bash", "if true; then echo; fi", "if true; then echo"),
    ],
)
async def test_syntax_is_checked_by_the_languages_own_grammar(language: str, good: str, bad: str) -> None:
    needs("tree_sitter")

    assert (await look(good, language)).syntax_errors == []
    assert (await look(bad, language)).syntax_errors != []


async def test_a_language_without_a_grammar_says_that_its_syntax_is_not_checked() -> None:
    needs("lizard")
    found = await look("def f(a)\n  if a\n    1\n  end\nend\n", "ruby")

    assert [(one.name, one.complexity) for one in found.functions] == [("f", 2)]
    assert found.warnings == ["syntax of ruby is not checked: there is no grammar for it here"]


@pytest.mark.parametrize("language", ["python", "javascript", "go", "c", "json", "bash", "ruby"])
@pytest.mark.parametrize("code", ["(" * 100_000, "{" * 100_000, "-" * 200_000 + "1", "", "\u0000", "é" * 1000, "/*"])
async def test_no_text_brings_an_analysis_down(language: str, code: str) -> None:
    with anyio.fail_after(30):
        found = await look(code, language)

    assert found.language == language
    assert found.functions == []


async def test_an_analysis_that_takes_too_long_is_stopped_and_said_to_be() -> None:
    with anyio.fail_after(10):
        found = await look("x = 1\n" * 100_000, timeout_s=0.01)

    assert "the analysis was stopped after 0.01 s" in found.warnings
    assert found.lines.total == 100_000
