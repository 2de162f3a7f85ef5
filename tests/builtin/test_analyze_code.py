"""`analyze_code`: texts and files are read, and nothing is run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import jsonschema  # type: ignore[import-untyped] # the library has no types
import pytest
from mcp_gateway.builtin import Builtin
from mcp_gateway.builtin.analyze_code import analyze_code_tool
from mcp_gateway.config.parts import AnalyzeCodeTool
from mcp_gateway.errors import InvalidParams

from tests.builtin.calls import call, use


def tool(root: Path, **settings: Any) -> Builtin:
    return analyze_code_tool(AnalyzeCodeTool.model_validate({"roots": [root], "timeout": 20, **settings}))


async def test_a_text_is_analyzed(tmp_path: Path) -> None:
    found = await use(tool(tmp_path), code="def f(a):\n    return a\n")

    assert found["language"] == "python"
    assert found["functions"] == [{"name": "f", "line": 1, "end_line": 2, "params": ["a"], "complexity": 1}]


async def test_a_file_is_analyzed_and_not_run(tmp_path: Path) -> None:
    (tmp_path / "setup.py").write_text("import pathlib\npathlib.Path(__file__).with_name('ran').touch()\n")

    found = await use(tool(tmp_path), path="setup.py")

    assert [one["name"] for one in found["imports"]] == ["pathlib"]
    assert not (tmp_path / "ran").exists()


async def test_a_file_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_bytes(b"\xef\xbb\xbfx = 1\n")

    assert (await use(tool(tmp_path), path="a.py"))["syntax_errors"] == []


async def test_a_file_outside_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "secret.py").write_text("x")
    (tmp_path / "in" / "link.py").symlink_to(tmp_path / "secret.py")

    for path in ("../secret.py", str(tmp_path / "secret.py"), "link.py"):
        with pytest.raises(InvalidParams, match=r"below tools\.analyze_code\.roots"):
            await use(tool(tmp_path / "in"), path=path)


@pytest.mark.parametrize(("content", "said"), [(b"\xff\xfe\x00", "not UTF-8"), (b"a\x00b", "binary")])
async def test_a_file_that_is_no_text_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "a.py").write_bytes(content)

    with pytest.raises(InvalidParams, match=said):
        await use(tool(tmp_path), path="a.py")


async def test_what_is_too_large_is_refused_with_its_size(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x" * 11)

    with pytest.raises(InvalidParams, match="11 bytes; at most 10"):
        await use(tool(tmp_path, max_bytes=10), path="a.py")
    with pytest.raises(InvalidParams, match="22 bytes; at most 10"):
        await use(tool(tmp_path, max_bytes=10), code="é" * 11)


async def test_an_unknown_language_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidParams, match="'cobol' is unknown; name one of"):
        await use(tool(tmp_path), code="x", language="cobol")


@pytest.mark.parametrize("arguments", [{}, {"code": "a", "path": "b"}, {"code": 1}, {"code": "a", "run": True}])
async def test_arguments_that_do_not_fit_are_refused(tmp_path: Path, arguments: dict[str, Any]) -> None:
    with pytest.raises(InvalidParams, match=r"^analyze_code: "):
        await call(tool(tmp_path), arguments)


async def test_the_callers_deadline_ends_an_analysis(tmp_path: Path) -> None:
    with anyio.fail_after(10):
        result = await call(tool(tmp_path), {"code": "x = 1\n" * 100_000}, deadline_s=0.01)

    assert "stopped after 0.01 s" in result["structuredContent"]["warnings"][0]


async def test_the_result_fits_the_schema_it_is_announced_with(tmp_path: Path) -> None:
    found = await use(tool(tmp_path), code="import os\neval(os)\nclass A: pass\ndef f(: pass\n")

    jsonschema.validate(found, tool(tmp_path).definition["outputSchema"])


def test_the_tool_is_said_to_read_only(tmp_path: Path) -> None:
    assert tool(tmp_path).annotations["readOnlyHint"] is True
