"""Runs the public conformance suite, and tells how each scenario ended.

Enters: a server's URL and a revision. Leaves: the outcome of every scenario that the suite has for that revision.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.setup import conformance_command

ROOT = Path(__file__).parents[2]

REVISIONS = ("2025-06-18", "2025-11-25", "2026-07-28")
"""Those that the suite has more than one server scenario for."""

SUITE_S = 120
"""All scenarios of one revision take 4 s; a loaded machine of 2 cores, not a promise."""

_STAMPED = re.compile(r"(?:server-)?(?P<scenario>.+)-\d{4}-\d{2}-\d{2}T[\d-]+Z")
"""The folder of one scenario's results: its name, and when it ran."""

TROUBLES = ("SKIPPED", "WARNING", "FAILURE")
"""How a check can end short of success, from bad to worse; the suite calls a remark without judgement INFO."""


@dataclass(frozen=True)
class Outcome:
    """One scenario: its checks by name, each with the worst way it ended; what the unsuccessful ones said."""

    checks: Mapping[str, str]
    complaints: tuple[str, ...] = ()

    @classmethod
    def of(cls, checks: list[dict[str, Any]]) -> Outcome:
        worst: dict[str, str] = {}
        for check in checks:
            worst[check["id"]] = max(check["status"], worst.get(check["id"], "SUCCESS"), key=_badness)
        said = [f"{check['id']}: {check.get('errorMessage')}" for check in checks if check["status"] in TROUBLES[1:]]
        return cls(worst, tuple(said))

    @property
    def passed(self) -> bool:
        """As the suite counts: no check failed, and there was one."""
        return bool(self.checks) and "FAILURE" not in self.checks.values()

    def worse_than(self, other: Outcome) -> list[str]:
        """The checks that ended worse here than there, a missing one as if it had been skipped; remarks are none."""
        return [
            f"{name}: {self.checks.get(name, 'missing')} instead of {status}"
            for name, status in other.checks.items()
            if status != "INFO" and _badness(self.checks.get(name, "SKIPPED")) > _badness(status)
        ]


Outcomes = Mapping[str, Outcome]
"""By the name of the scenario, in the order of the alphabet."""


def run_server_scenarios(url: str, revision: str, folder: Path) -> Outcomes:
    """Every server scenario of a revision; results and the suite's own report go below `folder`."""
    run(["server", "--url", url, "--suite", "all", "--spec-version", revision], folder)
    outcomes = dict(_results(folder))
    assert outcomes, f"the suite ran nothing:\n{(folder / 'report.txt').read_text()}"
    return outcomes


def run_scenario(arguments: list[str], folder: Path) -> Outcome:
    """A run of one scenario."""
    run(arguments, folder)
    outcomes = list(_results(folder))
    assert len(outcomes) == 1, (folder / "report.txt").read_text()
    return outcomes[0][1]


def run(arguments: list[str], folder: Path) -> None:
    """One run of the suite. Its exit status says only whether anything failed, which the results tell better."""
    folder.mkdir(parents=True)
    command = [*conformance_command(), *arguments, "--output-dir", str(folder)]
    with (folder / "report.txt").open("wb") as report:
        subprocess.run(command, check=False, stdin=subprocess.DEVNULL, stdout=report, stderr=report, timeout=SUITE_S)


def scored(revision: str, face: str) -> frozenset[str] | None:
    """What the suite's frozen requirements count for a revision, `face` being server or client; None: everything."""
    program = Path(conformance_command()[1])
    frozen = program.parent.parent / "requirements" / f"{revision}.yaml"
    return frozenset(yaml.safe_load(frozen.read_text())[face]) if frozen.exists() else None


def _results(folder: Path) -> Iterator[tuple[str, Outcome]]:
    for results in sorted(folder.glob("*/checks.json")):
        name = _STAMPED.fullmatch(results.parent.name)
        assert name is not None, f"not a scenario's folder: {results.parent.name}"
        yield name["scenario"], Outcome.of(json.loads(results.read_bytes()))


def _badness(status: str) -> int:
    return TROUBLES.index(status) + 1 if status in TROUBLES else 0
