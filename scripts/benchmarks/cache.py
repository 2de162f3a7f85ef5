"""The cache: a memory hit through the middleware and a read from SQLite, against a bare dictionary in the same run."""

from __future__ import annotations

import argparse
import tempfile
import time
from contextlib import closing
from pathlib import Path
from statistics import median

import anyio
from mcp_gateway.cache import CacheRule, SqliteCache, Use, open_cache
from mcp_gateway.call import Call, Client
from mcp_gateway.catalog import Kind, Route
from mcp_gateway.middleware.cache import CacheMiddleware
from mcp_gateway.wire import Raw

from benchmarks.report import Report, Row, per_call_s

RESULT = b'{"content":[{"type":"text","text":"' + b"x" * 200 + b'"}]}'
RULE = CacheRule(Use.KEEP, "server", ttl_s=3600)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--calls", type=int, default=2000, help="calls in a repeat")
    parser.add_argument("--repeats", type=int, default=5, help="repeats, of which the median counts")


def measure(arguments: argparse.Namespace) -> Report:
    calls, repeats = arguments.calls, arguments.repeats
    known = {"key": RESULT}
    floor_s = per_call_s(lambda: known["key"], calls, repeats)
    hit_s = anyio.run(_hit_s, calls, repeats)
    sqlite_s = _sqlite_s(calls, repeats)
    return Report(
        [
            _row("dict", floor_s, floor_s),
            _row("memory hit through the middleware", hit_s, floor_s),
            _row("SQLite get", sqlite_s, floor_s),
        ],
        [f"a result of {len(RESULT)} bytes; median of {repeats} repeats of {calls} calls"],
    )


def _row(what: str, taken_s: float, floor_s: float) -> Row:
    return {"what": what, "µs": taken_s * 1e6, "x dict": taken_s / floor_s}


async def _hit_s(calls: int, repeats: int) -> float:
    middleware = CacheMiddleware(open_cache(path=None), lambda call: RULE, lambda uri: False)
    call = Call("tools/call", {"arguments": Raw(b'{"q":1}')}, Client("me"), route=Route(Kind.TOOL, "server", "t", "t"))

    async def upstream(call: Call) -> Raw:
        return Raw(RESULT)

    taken_s = []
    async with middleware:
        await middleware(call, upstream)
        for _ in range(repeats):
            started_s = time.perf_counter()
            for _ in range(calls):
                await middleware(call, upstream)
            taken_s.append((time.perf_counter() - started_s) / calls)
    return median(taken_s)


def _sqlite_s(calls: int, repeats: int) -> float:
    """A fresh cache reads what an earlier one wrote, so that nothing is answered from the outbox."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cache.sqlite"
        with closing(SqliteCache(path)) as writer:
            writer.set("key", RESULT)
        with closing(SqliteCache(path)) as reader:
            assert reader.get("key") == RESULT
            return per_call_s(lambda: reader.get("key"), calls, repeats)
