"""`call`: one tool, its arguments as words or JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import anyio
import click

from mcp_gateway.cli.gateway import gateway
from mcp_gateway.cli.options import common, config_path
from mcp_gateway.cli.output import Output, answer
from mcp_gateway.errors import CODES, ERROR_META_KEY, InvalidParams

TOOL_FAILED = 5
"""Exit status when the tool itself reported an error (design, exit codes)."""


@click.command("call")
@click.argument("tool")
@click.argument("pairs", nargs=-1, metavar="[NAME=VALUE ...]")
@click.option("--json-args", help="All arguments as one JSON object; `-` reads it from standard input.")
@click.option("--timeout", type=float, help="Deadline in seconds; it can only shorten the server's.")
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
    """Call a tool: `mcp-gateway call time__get_current_time timezone=Europe/Helsinki`."""
    if json_args == "-" or tuple(pairs) == ("-",):
        json_args, pairs = sys.stdin.read(), ()
    result = anyio.run(_call, output, tool, pairs, json_args, timeout)
    if output.as_json:
        answer(result)
    else:
        for block in result.get("content") or []:
            click.echo(_text(block))
    return 0 if ignore_tool_error else _status(result)


async def _call(output: Output, tool: str, pairs: Sequence[str], json_args: str | None, timeout_s: float | None) -> Any:
    arguments = _object(json_args) if json_args is not None else {}
    async with gateway(config_path(output)) as answers:
        if pairs:
            arguments |= _coerced(pairs, await _schema(answers, tool))
        return await answers.call(tool, arguments, timeout_s)


async def _schema(answers: Any, tool: str) -> Mapping[str, Any]:
    """The tool's input schema; an unknown tool has none, and the call itself will say so."""
    for item in (await answers.get("tools"))["tools"]:
        if item["name"] == tool:
            schema: Mapping[str, Any] = item.get("inputSchema") or {}
            return schema
    return {}


def _object(text: str) -> dict[str, Any]:
    try:
        decoded = json.loads(text)
    except (ValueError, RecursionError):
        decoded = None
    if not isinstance(decoded, dict):
        raise InvalidParams("the arguments are not a JSON object")
    return decoded


def _coerced(pairs: Sequence[str], schema: Mapping[str, Any]) -> dict[str, Any]:
    """NAME=VALUE words as the schema wants them: text stays text, everything else is read as JSON."""
    properties = schema.get("properties")
    known = properties if isinstance(properties, dict) else {}
    arguments: dict[str, Any] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or not name:
            raise InvalidParams(f"{pair!r} is not NAME=VALUE; or give all arguments with --json-args")
        arguments[name] = _value(text, known.get(name))
    return arguments


def _value(text: str, schema: Any) -> Any:
    kinds = _kinds(schema)
    if kinds == {"string"}:
        return text
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return text if kinds and "string" in kinds and not isinstance(value, dict | list) else value


def _kinds(schema: Any) -> set[str]:
    """The JSON types a schema allows, as far as it says so plainly."""
    if not isinstance(schema, dict):
        return set()
    kind = schema.get("type")
    if isinstance(kind, str):
        return {kind}
    if isinstance(kind, list):
        return set(kind)
    branches = [*(schema.get("anyOf") or []), *(schema.get("oneOf") or [])]
    return {kind for branch in branches for kind in _kinds(branch)}


def _text(block: Mapping[str, Any]) -> str:
    """A content block for a terminal; control characters of a tool do not reach it."""
    if block.get("type") == "text":
        text = str(block.get("text", ""))
        return "".join(char if char.isprintable() or char in "\n\t" else f"\\x{ord(char):02x}" for char in text)
    if block.get("type") in ("image", "audio"):
        return f"[{block['type']} {block.get('mimeType')}, {len(str(block.get('data', ''))) * 3 // 4} bytes]"
    return json.dumps(block, ensure_ascii=False)


def _status(result: Mapping[str, Any]) -> int:
    if not result.get("isError"):
        return 0
    mark = (result.get("_meta") or {}).get(ERROR_META_KEY)
    code = str(mark.get("code")) if isinstance(mark, dict) else ""
    return CODES[code].exit if code in CODES else TOOL_FAILED


COMMANDS = {"call": call}
