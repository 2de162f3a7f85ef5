"""`ddgs`, through a package of the same interface: the real one needs the world outside."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest
from mcp_gateway.builtin.providers import Hit, Page, ProviderFailed, Query, Source, Web
from mcp_gateway.builtin.providers.duckduckgo import ddgs, installed

ANSWERING = """
class DDGS:
    def __init__(self, timeout):
        assert timeout == 2

    def text(self, query, max_results):
        return [{"title": query, "href": "https://example.com/", "body": str(max_results)}]
"""
REFUSING = """
class DDGS:
    def __init__(self, timeout):
        raise RuntimeError("202 Ratelimit https://secret.example")
"""
SILENT = """
import threading

class DDGS:
    def __init__(self, timeout):
        threading.Event().wait(1)
"""


async def ask(timeout_s: float = 2.0) -> Page:
    return await ddgs(Source("ddgs", timeout_s=timeout_s), Query("fox", 3), Web({}))


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[None]:
    """`ddgs` is a module of the text that the test is given."""
    (tmp_path / "ddgs.py").write_text(request.param)
    monkeypatch.delitem(sys.modules, "ddgs", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("ddgs", None)


@pytest.mark.parametrize("package", [ANSWERING], indirect=True)
@pytest.mark.usefixtures("package")
async def test_results_are_read() -> None:
    assert installed()
    assert (await ask()).hits == (Hit("fox", "https://example.com/", "3"),)


@pytest.mark.parametrize("package", [REFUSING], indirect=True)
@pytest.mark.usefixtures("package")
async def test_a_refusal_is_said_in_our_words() -> None:
    with pytest.raises(ProviderFailed, match="RuntimeError: its engines refuse") as failure:
        await ask()

    assert "secret" not in str(failure.value)


@pytest.mark.parametrize("package", [SILENT], indirect=True)
@pytest.mark.usefixtures("package")
async def test_silence_ends_with_the_deadline() -> None:
    with anyio.fail_after(5), pytest.raises(ProviderFailed, match=r"no answer within 0\.1 s"):
        await ask(0.1)
