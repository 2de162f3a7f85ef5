"""Sets of tools and queries with known answers, and how well a ranking does on them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CUTS = (1, 5, 10)
DEPTH = max(CUTS)


@dataclass(frozen=True, slots=True)
class Query:
    """`gold` is a list of groups; any tool of a group satisfies it."""

    text: str
    gold: list[list[str]]


@dataclass(frozen=True, slots=True)
class ToolSet:
    folder: Path
    tools: list[dict[str, Any]]
    queries: list[Query]

    @property
    def name(self) -> str:
        return self.folder.name


def load(data: Path) -> Iterator[ToolSet]:
    """Every folder in `data` with tools.jsonl and queries.jsonl, or `data` itself."""
    folders = sorted(path.parent for path in [*data.glob("tools.jsonl"), *data.glob("*/tools.jsonl")])
    if not folders:
        raise SystemExit(f"no tools.jsonl in {data} or in its folders; tests/retrieval/data has small ones")
    for folder in folders:
        queries = [Query(row["text"], row["gold"]) for row in read_rows(folder / "queries.jsonl")]
        yield ToolSet(folder, read_rows(folder / "tools.jsonl"), queries)


def read_rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def quality(queries: Sequence[Query], rankings: Sequence[Sequence[str]]) -> dict[str, float]:
    """recall@k: groups with a member among the first k, of all groups. MRR: mean of 1 / rank of the first gold tool."""
    groups = [(set(group), ranking) for query, ranking in zip(queries, rankings, strict=True) for group in query.gold]
    recall = {
        f"recall@{cut}": sum(not group.isdisjoint(ranking[:cut]) for group, ranking in groups) / len(groups)
        for cut in CUTS
    }
    pairs = zip(queries, rankings, strict=True)
    ranks = [_first({tool for group in query.gold for tool in group}, ranking) for query, ranking in pairs]
    return recall | {"MRR": sum(1 / rank for rank in ranks if rank) / len(ranks)}


def _first(gold: set[str], ranking: Sequence[str]) -> int | None:
    return next((rank for rank, tool in enumerate(ranking, 1) if tool in gold), None)
