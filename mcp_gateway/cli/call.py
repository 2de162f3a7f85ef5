"""`call`: one tool, its arguments as words or JSON."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import anyio
import click

from mcp_gateway.cli.arguments import from_json, from_words
from mcp_gateway.cli.content import shown
from mcp_gateway.cli.gateway import Answers, gateway
from mcp_gateway.cli.options import common
from mcp_gateway.cli.output import Output, answer, say
from mcp_gateway.errors import CODES, ERROR_META_KEY

TOOL_FAILED = 5
"""Exit status when the tool itself reported an error (design, exit codes)."""

STDIN = "-"


@click.command("call")
@click.argument("tool")
@click.argument("pairs", nargs=-1, metavar="[NAME=VALUE ...]")
@click.option("--json-args", help="All arguments as one JSON object; `-` reads it from standard input.")
@click.option("--timeout", type=click.FloatRange(0, min_open=True), help="Deadline in seconds, at most the server's.")
@click.option("--ignore-tool-error", is_flag=True, help="Exit with 0 although the tool reported an error.")
@common
def call(
    output: Output,
    tool: str,
    pairs: Sequence[str],
    json_args: str | None,
    timeout: float | None,
    ignore_tool_error: bool,
) -> int:
    """Call a tool: `mcp-gateway call time__get_current_time timezone=Europe/Helsinki`.

    Words become what the tool's schema wants; a name that is given several times makes a list.
    `mcp-gateway call NAME -` reads a JSON object from standard input.
    """
    if tuple(pairs) == (STDIN,):
        json_args, pairs = STDIN, ()
    arguments = {} if json_args is None else from_json(_read() if json_args == STDIN else json_args)
    result = anyio.run(_call, output, tool, pairs, arguments, timeout)
    if output.as_json:
        answer(result)
    else:
        for text in shown(result):
            say(text)
    return 0 if ignore_tool_error else _status(result)


def _read() -> bytes:
    return b"" if sys.stdin is None else sys.stdin.buffer.read()


async def _call(
    output: Output, tool: str, pairs: Sequence[str], arguments: Mapping[str, Any], timeout_s: float | None
) -> dict[str, Any]:
    async with gateway(output) as answers:
        words = from_words(pairs, await _schema(answers, tool)) if pairs else {}
        return await answers.call(tool, {**arguments, **words}, timeout_s)


async def _schema(answers: Answers, tool: str) -> Mapping[str, Any]:
    """The tool's input schema; an unknown tool has none, and the call itself will say so."""
    definition = await answers.tool(tool)
    schema = definition.get("inputSchema") if definition else None
    return schema if isinstance(schema, dict) else {}


def _status(result: Mapping[str, Any]) -> int:
    if not result.get("isError"):
        return 0
    meta = result.get("_meta")
    mark = meta.get(ERROR_META_KEY) if isinstance(meta, dict) else None
    code = str(mark.get("code")) if isinstance(mark, dict) else ""
    return CODES[code].exit if code in CODES else TOOL_FAILED


COMMANDS = {"call": call}
