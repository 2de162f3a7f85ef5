"""The table of a run, as Markdown: a row for each case, a column for each criterion, misses in bold."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from tests.faults.bench import Outcome, Whole
from tests.faults.cases import CASES, Case
from tests.faults.limits import PROMISED, Limits

HEAD = """\
| over | what is wrong upstream | the caller gets | after | sibling | listing | healed | memory | calls | stopped |
|---|---|---|---|---|---|---|---|---|---|"""


@dataclass(frozen=True, slots=True)
class Row:
    """One case with a gateway to itself. A run that broke off has no outcome, but a reason."""

    case: Case
    outcome: Outcome | None = None
    whole: Whole | None = None
    broke_off: str = ""

    limits: Limits = PROMISED

    @property
    def misses(self) -> list[str]:
        if self.outcome is None or self.whole is None:
            return [self.broke_off]
        return [*self.outcome.misses(self.limits), *self.whole.misses(self.limits)]


def label(case: Case) -> str:
    """How a row begins, whatever was measured."""
    return f"| {case.transport} | {case.what} |"


def table(rows: Iterable[Row]) -> str:
    return "\n".join([HEAD, *map(_line, sorted(rows, key=lambda row: CASES.index(row.case)))])


def summary(rows: Sequence[Row]) -> str:
    """How many of the cases hold all criteria, and what the others miss."""
    bad = [row for row in rows if row.misses]
    lines = [f"{len(rows) - len(bad)} of {len(rows)} cases hold every criterion."]
    return "\n".join(lines + [f"- {row.case.name}: {'; '.join(row.misses)}" for row in bad])


def _line(row: Row) -> str:
    return f"{label(row.case)} {' | '.join(_cells(row))} |"


def _cells(row: Row) -> Iterator[str]:
    outcome, whole = row.outcome, row.whole
    if outcome is None or whole is None:
        yield f"**{row.broke_off}**"
        yield from [""] * 7
        return
    missed = " ".join(row.misses)
    answer = outcome.answer.code or "the answer"
    yield _marked(answer, f"answer {outcome.answer.code}" in missed)
    yield _marked(f"{outcome.answer.took_s:.2f} s", "answer after" in missed)
    yield _marked(_seen(outcome.sibling_s, outcome.sibling_faults), "sibling " in missed)
    yield _marked(_seen(outcome.listing_s, outcome.listing_faults), "listing " in missed)
    yield _marked("never" if outcome.heal_s == float("inf") else f"{outcome.heal_s:.1f} s", "healed" in missed)
    yield _marked(f"+{max(0.0, outcome.memory_mib):.0f} MiB", "memory" in missed)
    yield _marked(str(outcome.reached), "reached" in missed)
    left = f", {len(whole.left)} left" if whole.left else ""
    yield _marked(f"{whole.stop_s:.1f} s{left}", "stopped" in missed or bool(whole.left))


def _seen(slowest_s: float, failed: Sequence[str]) -> str:
    return f"{slowest_s:.2f} s" + (f", {len(failed)} failed" if failed else "")


def _marked(text: str, is_missed: bool) -> str:
    return f"**{text}**" if is_missed else text
