"""`scripts/bench` runs on small data, and its figures are what they are said to be."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    """What the script starts once `.venv` is ready."""
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT / "scripts")},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def rows(*arguments: str) -> list[dict[str, Any]]:
    run = bench(*arguments, "--json")
    assert run.returncode == 0, run.stderr
    found: list[dict[str, Any]] = json.loads(run.stdout)["rows"]
    return found


def write_set(folder: Path) -> None:
    """Two tools; the first query finds its tool first, the second one of its two, second."""
    tools = [
        {"id": "a", "server": "", "name": "alpha", "description": "beta", "schema": {}},
        {"id": "b", "server": "", "name": "gamma", "description": "beta beta beta", "schema": {}},
    ]
    queries = [
        {"text": "alpha", "gold": [["a"]]},
        {"text": "gamma beta", "gold": [["a", "other"], ["nowhere"]]},
    ]
    for name, lines in (("tools", tools), ("queries", queries)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


def test_recall_counts_groups_and_mrr_queries(tmp_path: Path) -> None:
    write_set(tmp_path)

    ours = rows("retrieval", "--data", str(tmp_path))[0]

    assert ours["method"] == "mcp-gateway"
    assert [round(ours[column], 3) for column in ("recall@1", "recall@5", "recall@10", "MRR")] == [
        0.333,
        0.667,
        0.667,
        0.75,
    ]


def test_data_without_sets_is_told_in_a_line(tmp_path: Path) -> None:
    run = bench("retrieval", "--data", str(tmp_path))

    assert (run.returncode, len(run.stderr.splitlines())) == (1, 1)


def test_the_public_excerpts_are_readable() -> None:
    sets = {row["set"] for row in rows("retrieval", "--data", str(ROOT / "tests" / "retrieval" / "data"))}

    assert sets == {"livemcpbench", "metatool", "sealtools", "stabletoolbench"}


def write_part(source: Path, part: str, questions: list[dict[str, Any]], answers: list[list[str]]) -> None:
    """A file of the leaderboard, and one with the functions that each question's answer calls."""
    (source / "possible_answer").mkdir(parents=True, exist_ok=True)
    rights = [
        {"id": question["id"], "ground_truth": [{name: {}} for name in names]}
        for question, names in zip(questions, answers, strict=True)
    ]
    for folder, lines in ((source, questions), (source / "possible_answer", rights)):
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (folder / f"BFCL_v4_{part}.json").write_text(text, encoding="utf-8")


def asked(identity: str, text: str, *functions: str) -> dict[str, Any]:
    offered = [{"name": name, "description": f"{name} of {identity}", "parameters": {}} for name in functions]
    return {"id": identity, "question": [[{"role": "user", "content": text}]], "function": offered}


def test_the_leaderboard_becomes_two_sets(tmp_path: Path) -> None:
    source, target = tmp_path / "data", tmp_path / "sets"
    for kind in ("", "live_"):
        for part in ("multiple", "parallel", "parallel_multiple"):
            write_part(source, f"{kind}{part}", [], [])
    write_part(
        source,
        "live_simple",
        [asked("live", "rain?", "weather"), asked("other", "snow?", "sky")],
        [["weather"], ["sky"]],
    )
    again = [asked("two", "rain and news", "weather"), asked("three", "any news", "news")]
    questions = [asked("one", "rain and news", "weather", "news"), *again]
    write_part(source, "simple_python", questions, [["weather", "news", "weather"], ["weather"], ["news"]])

    subprocess.run([sys.executable, ROOT / "scripts/benchmarks/bfcl.py", source, target], check=True, timeout=60)

    tools, queries = ((target / "bfcl" / f"{name}.jsonl").read_text().splitlines() for name in ("tools", "queries"))
    assert [(tool["id"], tool["description"]) for tool in map(json.loads, tools)] == [
        ("weather", "weather of one"),
        ("news", "news of one"),
    ]
    assert [query["gold"] for query in map(json.loads, queries)] == [[["news"], ["weather"]], [["news"]]]
    assert {row["set"] for row in rows("retrieval", "--data", str(target))} == {"bfcl", "bfcllive"}


def test_the_cache_is_compared_with_a_dictionary_of_the_same_run() -> None:
    table = rows("cache", "--calls", "20", "--repeats", "1")

    assert [row["what"] for row in table] == ["dict", "memory hit through the middleware", "SQLite get"]
    assert table[0]["x dict"] == 1


def test_the_sandbox_is_compared_with_a_bare_process_of_the_same_run() -> None:
    table = rows("sandbox", "--repeats", "1")

    assert (table[0]["what"], table[0]["x bare"]) == ("bare process", 1)


@pytest.mark.parametrize("command", ["retrieval", "cache", "sandbox"])
def test_every_benchmark_explains_itself(command: str) -> None:
    assert "usage: scripts/bench" in bench(command, "--help").stdout


MOST_TIMES_THE_FLOOR = 25
"""What a call may cost at most, in processor time of a server that only answers. About twice what it did when this was
written, on a machine of two busy processors (2026-11-24): a second copy of the path shows, noise does not."""


def test_a_call_costs_no_more_than_it_did_beside_the_floor_of_the_same_run() -> None:
    found = rows("relay", "--quick", "--only", "HTTP, 100 B, 2025-11-25")

    by_target = {row["target"]: row for row in found}
    assert [row["errors"] for row in found] == [0, 0]
    assert by_target["floor"]["x floor"] == 1
    assert by_target["ours"]["x floor"] < MOST_TIMES_THE_FLOOR


def test_every_way_of_the_relay_is_answered_rightly() -> None:
    found = rows("relay", "--quick", "--rounds", "1", "--seconds", "0.05")

    ways = {row["scenario"].partition(",")[0] for row in found}
    assert ways == {"HTTP", "stdio", "cache hit", "tools/list of 1000"}
    assert {row["errors"] for row in found} == {0}
