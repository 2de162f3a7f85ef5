"""The outcomes as a table of Markdown, and the manual that holds it between two marks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tests.conformance.server_face import Measured, Way
from tests.conformance.suite import Outcomes, scored

MANUAL = Path(__file__).parents[2] / "docs" / "compatibility.md"
BEGIN, END = "<!-- conformance: begin -->", "<!-- conformance: end -->"
PASSED, FAILED, ABSENT = "✓", "✗", "–"


def render(measured: Measured) -> str:
    """Sums first, then every scenario; a cell has a mark for each way, in the order of `Way`."""
    return "\n".join([*_sums(measured), "", *_scenarios(measured)])


def _sums(measured: Measured) -> Iterator[str]:
    yield f"| scored scenarios passed | {' | '.join(way.value for way in Way)} |"
    yield "|---|" + "---|" * len(Way)
    for revision, ways in measured.items():
        yield f"| {revision} | {' | '.join(_sum(revision, ways[way]) for way in Way)} |"


def _sum(revision: str, outcomes: Outcomes) -> str:
    counted = scored(revision, "server") or outcomes.keys()
    return f"{sum(outcomes[name].passed for name in counted)} of {len(counted)}"


def _scenarios(measured: Measured) -> Iterator[str]:
    yield f"| scenario | {' | '.join(measured)} |"
    yield "|---|" + "---|" * len(measured)
    for name in sorted({name for ways in measured.values() for name in ways[Way.DIRECT]}):
        yield f"| {name} | {' | '.join(_cell(measured, revision, name) for revision in measured)} |"


def _cell(measured: Measured, revision: str, name: str) -> str:
    ways = measured[revision]
    if name not in ways[Way.DIRECT]:
        return ABSENT
    marks = " ".join(PASSED if ways[way][name].passed else FAILED for way in Way)
    counted = scored(revision, "server")
    return marks if counted is None or name in counted else f"{marks} (not scored)"


def claims(text: str) -> dict[tuple[str, str], list[bool]]:
    """Scenario and revision -> what a rendered table says of each way."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]
    header = next(row for row in rows if row[0] == "scenario")
    return {
        (row[0], revision): [mark == PASSED for mark in cell.split()[: len(Way)]]
        for row in rows[rows.index(header) + 2 :]
        for revision, cell in zip(header[1:], row[1:], strict=True)
        if cell != ABSENT
    }


def read(manual: Path = MANUAL) -> str:
    """The table that the manual holds."""
    return manual.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]


def write(table: str, manual: Path = MANUAL) -> None:
    """Put the table between the marks."""
    before, _, rest = manual.read_text(encoding="utf-8").partition(BEGIN)
    manual.write_text(f"{before}{BEGIN}\n{table}\n{END}{rest.partition(END)[2]}", encoding="utf-8")
