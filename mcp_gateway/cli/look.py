"""`list`, `inspect` and `status`: what there is, and how it is."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

import anyio
import click

from mcp_gateway.catalog.signature import first_line, signature
from mcp_gateway.cli.gateway import gateway, running_gateway
from mcp_gateway.cli.options import NoSuchFile, common
from mcp_gateway.cli.output import Output, answer, say
from mcp_gateway.errors import NotRunning

SHOWN_PROBLEMS = 20

_UNREACHABLE = 4
_EXITS = {"ready": 0, "idle": 0, "disabled": 0, "needs_auth": 3}
"""State of a server -> exit status of looking at it (design, exit codes)."""

KINDS = ("tools", "resources", "prompts", "servers")

NEXT = "Next: mcp-gateway validate · mcp-gateway serve · mcp-gateway list"


@click.command("list")
@click.argument("kind", type=click.Choice(KINDS), default="tools")
@click.option("--server", help="Only what this server offers.")
@click.option("--schema", is_flag=True, help="Tools with their input schemas, as JSON.")
@common
def list_(output: Output, kind: str, server: str | None, schema: bool) -> None:
    """List tools (default), resources, prompts or servers."""
    items = anyio.run(_items, output, kind, server)
    if output.as_json or schema:
        answer({kind: items})
        return
    for line in _LINES[kind](items):
        say(line)


@click.command("inspect")
@click.argument("name")
@common
def inspect(output: Output, name: str) -> int:
    """Show everything known of one server: state, revision, capabilities, tools, problems.

    Exits with 4 when it cannot be reached, with 3 when it wants a login.
    """
    server = anyio.run(_get, output, f"servers/{quote(name, safe='')}")
    if output.as_json:
        answer(server)
    else:
        _show(server)
    return _EXITS.get(server["state"], _UNREACHABLE)


def _show(server: Mapping[str, Any]) -> None:
    say(f"{server['name']}: {server['state']}, {server['transport']}, revision {server['revision'] or 'unknown'}")
    if server["reason"]:
        say(f"  {server['reason']}")
    for heading, lines in (
        ("capabilities", sorted(server["capabilities"] or {})),
        ("tools", _tool_lines(server["exposed_tools"])),
        ("problems", [f"{item['code']} {item['name'] or ''}: {item['text']}" for item in server["problems"]]),
    ):
        say(f"{heading}: {'none' if not lines else ''}")
        for line in lines:
            say(f"  {line}")


@click.command("status")
@common
def status(output: Output, welcome: bool = False) -> None:
    """Show the state of the running gateway. Exits with 69 when none is running."""
    try:
        body = anyio.run(_status, output)
    except (NoSuchFile, NotRunning) as absent:
        if not welcome:
            raise
        say(f"{absent.message}\n{NEXT}")
        return
    if output.as_json:
        answer(body)
        return
    counts = f"{body['tools']} tools, {body['prompts']} prompts, {body['resources']} resources"
    say(f"mcp-gateway {body['version']}: {counts}, {body['sessions']} sessions")
    if body["memory"]["shedding"]:
        say(f"new calls are refused: {body['memory']['shedding']}")
    if body["config"]["error"]:
        say(f"the configuration on disk is bad; the old one is in force:\n{body['config']['error']}")
    if body["config"]["restart_needed"]:
        say(f"changed, but in force only after a restart: {', '.join(body['config']['restart_needed'])}")
    for line in (*_server_lines(body["servers"]), *_problem_lines(body["problems"])):
        say(line)
    if welcome:
        say(NEXT)


async def _items(output: Output, kind: str, server: str | None) -> list[dict[str, Any]]:
    """What there is of a kind, of one server if it is named. Raises UnknownName."""
    async with gateway(output) as answers:
        items: list[dict[str, Any]] = (await answers.get(kind, server))[kind]
        if server is None:
            return items
        await answers.get(f"servers/{quote(server, safe='')}")
        return [item for item in items if item.get("server", item["name"]) == server]


async def _get(output: Output, path: str) -> Any:
    async with gateway(output) as answers:
        return await answers.get(path)


async def _status(output: Output) -> Any:
    answers = await running_gateway(output)
    return await answers.get("status")


def _problem_lines(items: Sequence[Mapping[str, Any]]) -> list[str]:
    """Everything the catalog left out, renamed or found odd: at most a screen, the rest is in `--json`."""
    lines = [f"  {item['server'] or '-'}: {item['name'] or '-'}: {item['text']} ({item['code']})" for item in items]
    if not lines:
        return []
    more = [f"  and {len(lines) - SHOWN_PROBLEMS} more: --json"] if len(lines) > SHOWN_PROBLEMS else []
    return [f"{len(lines)} problems with what servers offer:", *lines[:SHOWN_PROBLEMS], *more]


def _tool_lines(items: Sequence[Mapping[str, Any]]) -> list[str]:
    return [f"{signature(item)}{_dash(item)}" for item in items]


def _prompt_lines(items: Sequence[Mapping[str, Any]]) -> list[str]:
    lines = []
    for item in items:
        names = [argument["name"] for argument in item.get("arguments") or []]
        lines.append(f"{item['name']}({', '.join(names)}){_dash(item)}")
    return lines


def _resource_lines(items: Sequence[Mapping[str, Any]]) -> list[str]:
    return [f"{item.get('uri') or item.get('uriTemplate')}{_dash(item)}" for item in items]


def _server_lines(items: Sequence[Mapping[str, Any]]) -> list[str]:
    signs = {"ready": "●", "disabled": "○", "idle": "○"}
    width = max((len(item["name"]) for item in items), default=0)
    return [
        f"{signs.get(item['state'], '▲')} {item['name']:<{width}}  {item['state']:<10} "
        f"{item['revision'] or '-':<10}  {item['tools']:>3} tools{'  ' + item['reason'] if item['reason'] else ''}"
        for item in items
    ]


_LINES = {"tools": _tool_lines, "prompts": _prompt_lines, "resources": _resource_lines, "servers": _server_lines}


def _dash(item: Mapping[str, Any]) -> str:
    text = first_line(item.get("description"))
    limit = 100 if sys.stdout.isatty() else 300
    return f" - {text[:limit]}" if text else ""


COMMANDS = {"list": list_, "inspect": inspect, "status": status}
