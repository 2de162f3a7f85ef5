"""The book of eras: what an upstream spoke last time, for the next start."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from mcp_gateway.upstream.eras import MAX_ENTRIES, TRUSTED_FOR_S, EraBook
from mcp_gateway.upstream.session import Era


def test_an_unknown_upstream_is_probed() -> None:
    assert EraBook(None).recall("x") is Era.AUTO


def test_a_verdict_outlives_the_process(tmp_path: Path) -> None:
    path = tmp_path / "state" / "eras.json"
    EraBook(path).entry("x").remember(Era.MODERN)
    assert EraBook(path).entry("x").recall() is Era.MODERN


def test_a_legacy_verdict_is_trusted_for_a_day(tmp_path: Path) -> None:
    path = tmp_path / "eras.json"
    now = time.time()
    path.write_text(json.dumps({"old": ["legacy", now - TRUSTED_FOR_S - 1], "new": ["legacy", now]}))
    book = EraBook(path)
    assert (book.recall("old"), book.recall("new")) == (Era.AUTO, Era.LEGACY)


def test_auto_forgets(tmp_path: Path) -> None:
    path = tmp_path / "eras.json"
    book = EraBook(path)
    book.remember("x", Era.LEGACY)
    book.remember("x", Era.AUTO)
    assert json.loads(path.read_text()) == {}


def test_the_book_has_a_last_page(tmp_path: Path) -> None:
    book = EraBook(None)
    for number in range(MAX_ENTRIES + 1):
        book.remember(str(number), Era.MODERN)
    assert (book.recall("0"), book.recall(str(MAX_ENTRIES))) == (Era.AUTO, Era.MODERN)


@pytest.mark.parametrize(
    "text", ["", "[]", '{"x": 1}', '{"x": ["nonsense", 0]}', '{"x": ["legacy", "soon"]}', "[" * 5000]
)
def test_a_damaged_book_counts_as_empty(tmp_path: Path, text: str, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "eras.json"
    path.write_text(text)
    assert EraBook(path).recall("x") is Era.AUTO


def test_a_folder_that_cannot_be_written_costs_only_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    blocker = tmp_path / "file"
    blocker.write_text("")
    book = EraBook(blocker / "eras.json")
    book.remember("x", Era.MODERN)
    assert book.recall("x") is Era.MODERN
    assert "eras_unwritable" in caplog.text
