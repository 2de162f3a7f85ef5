"""`pins`: which tool definitions have changed since they were pinned, and believing them.

Works on the file of pins itself, so that it does for a gateway that serves HTTP, for one that a
host started over stdio, and for none; a gateway that runs takes the change over by itself.
"""

from __future__ import annotations

import os
from typing import Any

import click

from mcp_gateway.cli.options import common, config_path
from mcp_gateway.cli.output import Output, answer, say
from mcp_gateway.config import file_key, folders
from mcp_gateway.errors import UnknownName
from mcp_gateway.observe.pins import withheld
from mcp_gateway.security.pin_desk import approvals
from mcp_gateway.security.pin_file import PinFile
from mcp_gateway.security.pins import Book, Change

NOTHING = "nothing is withheld"


@click.group("pins")
def pins() -> None:
    """Show or approve tool definitions that have changed since they were first seen (`trust`)."""


@pins.command("diff")
@click.argument("server", required=False)
@common
def diff(output: Output, server: str | None) -> None:
    """Show what is withheld and what changed, of all servers or of one."""
    book = _file(output).read()
    if server is not None and server not in book:
        raise UnknownName("server", server)
    items = withheld(book, server)
    if output.as_json:
        answer({"pins": items})
        return
    for item in items:
        say(f"{item['server']} {item['tool']}: {item['state']} since {item['since']}, offered {item['offered']}")
        say(item["diff"] + "\n")
    say("To offer them: mcp-gateway pins approve SERVER [TOOL...]" if items else NOTHING)


@pins.command("approve")
@click.argument("server", required=False)
@click.argument("tools", nargs=-1, metavar="[TOOL...]")
@click.option("--all", "everything", is_flag=True, help="Everything that is withheld, of all servers.")
@common
def approve(output: Output, server: str | None, tools: tuple[str, ...], everything: bool) -> None:
    """Offer the withheld tools of a server again, all or those named, as they are defined now."""
    if everything == (server is not None):
        raise click.UsageError("name a server, or give --all")
    file = _file(output)
    changes = _changes(file.read(), server, tools)
    try:
        file.update(changes)
    except OSError as refused:
        raise click.FileError(str(file.path), refused.strerror) from None
    if output.as_json:
        answer({"approved": [_approved(change) for change in changes]})
        return
    for change in changes:
        say(f"approved {change.server} {change.tool}, {change.seen.digest}")
    if not changes:
        say(NOTHING)


def _file(output: Output) -> PinFile:
    return PinFile(folders(os.environ).state / "pins" / f"{file_key(config_path(output))}.json")


def _changes(book: Book, server: str | None, tools: tuple[str, ...]) -> list[Change]:
    servers = list(book) if server is None else [server]
    return [change for name in servers for change in approvals(book, name, tools or None)]


def _approved(change: Change) -> dict[str, Any]:
    return {"server": change.server, "tool": change.tool, "digest": change.seen.digest}


COMMANDS = {"pins": pins}
