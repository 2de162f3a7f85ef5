"""Tool search: recall, index time and query time of ours, of a plain BM25 and of FastMCP's search transform.

FastMCP is measured when --peers names a Python that has it, such as one made with
`python3 -m venv /tmp/peers && /tmp/peers/bin/pip install fastmcp`. The hybrid of words and vectors is measured when
--model names the folder of a MiniLM model; then that Python needs numpy, safetensors and tokenizers as well.
docs/search.md says where a model and larger sets come from.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import time
import tracemalloc
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from mcp_gateway.retrieval import Document, Index, Vector, schema_text

from benchmarks.plain_bm25 import PlainBm25
from benchmarks.report import Report, Row
from benchmarks.toolsets import DEPTH, ToolSet, load, quality

HERE = Path(__file__).parent
OURS = "mcp-gateway"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", type=Path, required=True, help="a folder of sets, as tests/retrieval/data")
    parser.add_argument("--peers", type=Path, help="a Python interpreter that has fastmcp")
    parser.add_argument("--model", type=Path, help="a folder with model.safetensors and tokenizer.json")


def measure(arguments: argparse.Namespace) -> Report:
    rows: list[Row] = []
    notes = ["plain BM25 is our own: one text, lower-case words, k1 1.5, b .75"]
    if arguments.peers is None:
        notes.append("FastMCP not measured: scripts/bench retrieval --help says how")
    for tools in load(arguments.data):
        rows += [_ours(tools), _plain(tools)]
        if arguments.peers is not None:
            answer = _child(arguments.peers, "fastmcp_search.py", {"folder": str(tools.folder), "limit": DEPTH})
            rows.append(_row(tools, f"FastMCP {answer['version']}", answer))
        if arguments.model is not None:
            rows.append(_hybrid(tools, arguments.peers, arguments.model))
    return Report(rows, notes)


def _ours(tools: ToolSet) -> Row:
    documents = _documents(tools)
    index, build_s = _timed(lambda: Index.build(documents))
    found = _run(tools, lambda text: _ids(index, text))
    return _row(tools, OURS, found | {"build_s": build_s, "bytes": _size_bytes(documents)})


def _size_bytes(documents: Sequence[Document[str]]) -> int:
    """What an index holds on to beside its documents."""
    tracemalloc.start()
    index = Index.build(documents)
    size_bytes, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(index.documents) == len(documents)
    return size_bytes


def _hybrid(tools: ToolSet, python: Path | None, model: Path) -> Row:
    """Vectors are made ahead, as the gateway does in the background; the query time is ours without the model's."""
    if python is None:
        raise SystemExit("--model needs --peers: a Python with numpy, safetensors and tokenizers")
    index = Index.build(_documents(tools))
    texts = [*index.passages, *(query.text for query in tools.queries)]
    vectors: dict[str, Vector] = dict(
        zip(texts, _child(python, "minilm.py", {"model": str(model), "texts": texts})["vectors"], strict=True)
    )
    return _row(tools, f"{OURS} hybrid", _run(tools, lambda text: _ids(index, text, vectors)))


def _ids(index: Index[str], text: str, vectors: Mapping[str, Vector] | None = None) -> list[str]:
    hits = index.search(text, DEPTH, vectors=None if vectors is None else vectors.get)
    return [hit.document.subject for hit in hits]


def _documents(tools: ToolSet) -> list[Document[str]]:
    return [
        Document(
            subject=tool["id"],
            name=tool["name"],
            server=tool["server"],
            description=tool["description"],
            schema=schema_text(tool["schema"]),
        )
        for tool in tools.tools
    ]


def _plain(tools: ToolSet) -> Row:
    texts = [
        f"{tool['server']} {tool['name']} {tool['description']} {schema_text(tool['schema'])}" for tool in tools.tools
    ]
    index, build_s = _timed(lambda: PlainBm25(texts))

    def search(text: str) -> list[str]:
        return [tools.tools[position]["id"] for position in index.search(text, DEPTH)]

    return _row(tools, "plain BM25", _run(tools, search) | {"build_s": build_s})


def _run(tools: ToolSet, search: Callable[[str], list[str]]) -> dict[str, Any]:
    found = [_timed(lambda text=query.text: search(text)) for query in tools.queries]  # type: ignore[misc]  # mypy does not type the default
    return {"rankings": [ranking for ranking, _ in found], "query_s": [query_s for _, query_s in found]}


def _timed(act: Callable[[], Any]) -> tuple[Any, float]:
    started_s = time.perf_counter()
    result = act()
    return result, time.perf_counter() - started_s


def _row(tools: ToolSet, method: str, answer: Mapping[str, Any]) -> Row:
    query_ms: Sequence[float] = [query_s * 1000 for query_s in answer["query_s"]]
    figures = quality(tools.queries, answer["rankings"])
    build_s, size_bytes = answer.get("build_s"), answer.get("bytes")
    return {
        "set": tools.name,
        "tools": str(len(tools.tools)),
        "queries": str(len(tools.queries)),
        "method": method,
        **figures,
        "index ms": "-" if build_s is None else build_s * 1000,
        "index MB": "-" if size_bytes is None else size_bytes / 1e6,
        "query p50 ms": median(query_ms),
        "query p95 ms": quantiles(query_ms, n=20)[-1],
    }


def _child(python: Path, script: str, request: Mapping[str, Any]) -> Any:
    """Run a script of this folder under another Python: JSON in, JSON out."""
    command = [str(python), str(HERE / script)]
    run = subprocess.run(command, input=json.dumps(request), stdout=subprocess.PIPE, text=True, check=False)  # noqa: S603 - the user's own Python
    if run.returncode != 0:
        raise SystemExit(f"{script} failed under {python}; scripts/bench retrieval --help says what it needs")
    return json.loads(run.stdout)
