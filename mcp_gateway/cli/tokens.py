"""`tokens`: what the tool list costs a model, server by server, and what search mode would save.

Definitions as clients see them enter, bytes and estimated tokens leave. Nothing is counted by a model's own tokenizer:
the tokens are an estimate and say so.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import anyio
import click

from mcp_gateway.catalog import BYTES_PER_TOKEN
from mcp_gateway.cli.gateway import gateway
from mcp_gateway.cli.options import common
from mcp_gateway.cli.output import Output, answer, say

SEARCH_MODE_BYTES: Final = 3_400
"""What `search_tools`, `describe_tools`, `call_tool` and `read_tool` add to the list, with a few servers named."""

_BUILTIN: Final = "built-in"
_OURS: Final = ("server", "tool")
"""Fields of our own in the list, which no client sees."""


@dataclass(frozen=True, slots=True)
class Footprint:
    """The share of one server, or of several, in the tool list. `server` is None for the built-in tools."""

    server: str | None
    tools: int
    bytes: int

    @property
    def tokens(self) -> int:
        return -(-self.bytes // BYTES_PER_TOKEN)


@click.command("tokens")
@common
def tokens(output: Output) -> None:
    """Show how much of a model's context the tools take, and what search mode would save."""
    shares = footprints(anyio.run(_tools, output))
    total = Footprint(None, sum(share.tools for share in shares), sum(share.bytes for share in shares))
    after = in_search_mode(shares)
    if output.as_json:
        answer(
            {
                "servers": [_body(share) for share in shares],
                "total": _body(total, named=False),
                "search_mode": {**_body(after, named=False), "saved_tokens": max(total.tokens - after.tokens, 0)},
            }
        )
        return
    for line in lines(shares, total, after):
        say(line)


def footprints(tools: Sequence[Mapping[str, Any]]) -> list[Footprint]:
    """Each server's share, the largest first."""
    sizes: dict[str | None, list[int]] = {}
    for tool in tools:
        shown = {name: value for name, value in tool.items() if name not in _OURS}
        encoded = json.dumps(shown, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
        sizes.setdefault(tool["server"], []).append(len(encoded))
    shares = [Footprint(server, len(found), sum(found)) for server, found in sizes.items()]
    return sorted(shares, key=lambda share: (-share.bytes, share.server or ""))


def in_search_mode(shares: Sequence[Footprint]) -> Footprint:
    """The built-in tools and those that search; the rest is found when it is wanted."""
    kept = [share for share in shares if share.server is None]
    return Footprint(None, 4 + sum(share.tools for share in kept), SEARCH_MODE_BYTES + sum(s.bytes for s in kept))


def lines(shares: Sequence[Footprint], total: Footprint, after: Footprint) -> list[str]:
    """A table for people."""
    rows = [(share.server or _BUILTIN, share) for share in shares] + [("all", total), ("in search mode", after)]
    width = max(len(name) for name, _ in rows)
    table = [
        f"{name:<{width}}  {share.tools:>5} tools  {share.bytes:>9,} bytes  ≈ {share.tokens:>7,} tokens"
        for name, share in rows
    ]
    saved = total.tokens - after.tokens
    verdict = f"search mode would save ≈ {saved:,} tokens" if saved > 0 else "search mode would save nothing"
    return [*table, f"{verdict}; tokens are estimated as bytes / {BYTES_PER_TOKEN}"]


async def _tools(output: Output) -> list[dict[str, Any]]:
    async with gateway(output) as answers:
        tools: list[dict[str, Any]] = (await answers.get("tools"))["tools"]
        return tools


def _body(share: Footprint, *, named: bool = True) -> dict[str, Any]:
    body = {**asdict(share), "tokens": share.tokens}
    return body if named else {name: value for name, value in body.items() if name != "server"}


COMMANDS = {"tokens": tokens}
