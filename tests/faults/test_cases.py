"""The table is whole: every fault that can be had is tried, and told of in the manual."""

from __future__ import annotations

from pathlib import Path

import pytest
from mcp_gateway.errors import CODES

from tests.faults import http_upstream, stdio_upstream
from tests.faults.cases import CASES, Case, of
from tests.faults.report import label

MANUAL = Path(__file__).parents[2] / "docs" / "reliability.md"


@pytest.mark.parametrize(
    ("transport", "modes"), [("stdio", stdio_upstream.MODES), ("http", http_upstream.MODES)], ids=["stdio", "http"]
)
def test_each_fault_of_an_upstream_is_a_case(transport: str, modes: frozenset[str]) -> None:
    assert sorted(case.mode for case in of(transport)) == sorted(modes)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_case_promises_an_answer_or_a_stable_code(case: Case) -> None:
    assert case.code is None or case.code in CODES


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_manual_has_a_row_for_each_case(case: Case) -> None:
    assert label(case) in MANUAL.read_text(encoding="utf-8")
