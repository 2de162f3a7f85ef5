"""FastMCP's BM25 search transform on one set. Runs under a Python of its own that has fastmcp: JSON in, JSON out.

The transform is asked below its MCP tool, so that ranking alone is timed. It looks at the whole catalog on every query
and builds its index in the first, which is left out of the query times.
"""

import asyncio
import json
import logging
import sys
import time
from pathlib import Path
from typing import Any


def main() -> None:
    logging.disable(logging.WARNING)  # it warns of every name that is no MCP tool name
    request = json.load(sys.stdin)
    json.dump(asyncio.run(search(Path(request["folder"]), request["limit"])), sys.stdout)


async def search(folder: Path, limit: int) -> dict[str, Any]:
    import fastmcp
    from fastmcp.server.transforms.search import BM25SearchTransform
    from fastmcp.tools import Tool

    rows = [json.loads(line) for line in (folder / "tools.jsonl").read_text(encoding="utf-8").splitlines()]
    queries = [json.loads(line)["text"] for line in (folder / "queries.jsonl").read_text(encoding="utf-8").splitlines()]
    # Mounted servers prefix their tools; the ids of the sets have that form (`server::name`).
    tools = [Tool(name=row["id"], description=row["description"], parameters=row["schema"]) for row in rows]
    transform = BM25SearchTransform(max_results=limit)
    started_s = time.perf_counter()
    await transform._search(tools, "anything")
    build_s = time.perf_counter() - started_s
    rankings, query_s = [], []
    for query in queries:
        started_s = time.perf_counter()
        found = await transform._search(tools, query)
        query_s.append(time.perf_counter() - started_s)
        rankings.append([tool.name for tool in found])
    return {"version": fastmcp.__version__, "rankings": rankings, "query_s": query_s, "build_s": build_s}


if __name__ == "__main__":
    main()
