"""The Berkeley Function Calling Leaderboard as two sets for `scripts/bench retrieval`: no setting was chosen on them.

Made from the package of its authors, which holds the data (Apache-2.0):

    python3 -m venv /tmp/peers
    /tmp/peers/bin/pip install --no-deps --target /tmp/bfcl bfcl-eval==2026.3.23
    python3 scripts/benchmarks/bfcl.py /tmp/bfcl/bfcl_eval/data /tmp/sets

The functions that the questions of a set bring along are its tools, the first definition of each name; the functions of
the right calls are the right answers. A question asked twice counts once.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

SETS = {
    "bfcl": ("simple_python", "multiple", "parallel", "parallel_multiple"),
    "bfcllive": ("live_simple", "live_multiple", "live_parallel", "live_parallel_multiple"),
}
Row = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="the folder bfcl_eval/data of the package")
    parser.add_argument("target", type=Path, help="the folder that is to hold the sets")
    arguments = parser.parse_args()
    for name, parts in SETS.items():
        questions = [question for part in parts for question in read_part(arguments.source, part)]
        folder = arguments.target / name
        folder.mkdir(parents=True, exist_ok=True)
        write_rows(folder / "tools.jsonl", tools(questions))
        write_rows(folder / "queries.jsonl", queries(questions))


def read_part(source: Path, part: str) -> Iterator[Row]:
    """The questions of one file, each with its `ground_truth`."""
    file = f"BFCL_v4_{part}.json"
    answers = {row["id"]: row["ground_truth"] for row in read_rows(source / "possible_answer" / file)}
    for row in read_rows(source / file):
        yield row | {"ground_truth": answers[row["id"]]}


def tools(questions: Iterable[Row]) -> list[Row]:
    found: dict[str, Row] = {}
    for question in questions:
        for function in question["function"]:
            name = function["name"]
            described = {"description": function.get("description", ""), "schema": function.get("parameters") or {}}
            found.setdefault(name, {"id": name, "server": "", "name": name, **described})
    return list(found.values())


def queries(questions: Iterable[Row]) -> list[Row]:
    found: dict[str, Row] = {}
    for question in questions:
        text = " ".join(message["content"] for message in question["question"][-1] if message["role"] == "user")
        gold = sorted({name for call in question["ground_truth"] for name in call})
        if text.strip():
            found.setdefault(text, {"id": question["id"], "text": text, "gold": [[name] for name in gold]})
    return list(found.values())


def read_rows(path: Path) -> list[Row]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def write_rows(path: Path, rows: Iterable[Row]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


if __name__ == "__main__":
    main()
