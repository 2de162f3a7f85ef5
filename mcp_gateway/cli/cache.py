"""`cache`: what the running gateway has kept of answers, and forgetting it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import anyio
import click

from mcp_gateway.cli.gateway import running_gateway
from mcp_gateway.cli.options import common
from mcp_gateway.cli.output import Output, answer, say


@click.group("cache")
def cache() -> None:
    """Show or clear what is kept of answers. Exits with 69 when no gateway of the file is running."""


@cache.command("stats")
@common
def stats(output: Output) -> None:
    """Show hits, misses and sizes, of the whole and of each tier."""
    body = anyio.run(_stats, output)
    if output.as_json:
        answer(body)
        return
    say(f"cache: {_line(body)}")
    for name, tier in body["tiers"].items():
        say(f"  {name}: {_line(tier)}")


@cache.command("clear")
@click.option("--server", help="Only what came from this server.")
@click.option("--older-than", "older_than_s", type=click.FloatRange(min=0), help="Only what is older, in seconds.")
@common
def clear(output: Output, server: str | None, older_than_s: float | None) -> None:
    """Forget kept answers."""
    body = anyio.run(_clear, output, server, older_than_s)
    if output.as_json:
        answer(body)
    else:
        say(f"{body['removed']} entries removed from memory, and the same from disk")


async def _stats(output: Output) -> Any:
    return await (await running_gateway(output)).get("cache")


async def _clear(output: Output, server: str | None, older_than_s: float | None) -> Any:
    wanted = {"server": server, "older_than_s": older_than_s}
    query = urlencode({name: value for name, value in wanted.items() if value is not None})
    return await (await running_gateway(output)).delete(f"cache?{query}" if query else "cache")


def _line(stats: Mapping[str, Any]) -> str:
    rate = "no look-ups yet" if stats["hit_rate"] is None else f"{stats['hit_rate']:.1%} hits"
    return f"{stats['entries']} entries, {stats['bytes']} bytes, {stats['hits']} hits, {stats['misses']} misses, {rate}"


COMMANDS = {"cache": cache}
