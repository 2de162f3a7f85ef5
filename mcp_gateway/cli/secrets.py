"""`secrets`: values for `${secret:NAME}`, kept encrypted in the state folder.

A value comes from a prompt without echo or from standard input, never from the command line,
where other programs and the shell's history see it. No command shows one.
"""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from mcp_gateway.cli.options import common
from mcp_gateway.cli.output import Output, answer, note, say
from mcp_gateway.errors import InvalidParams

if TYPE_CHECKING:
    from mcp_gateway.security.vault import Vault

_MOST_BYTES = 1024 * 1024
"""Of standard input; far more than any secret (our choice)."""


@click.group("secrets")
def secrets() -> None:
    """Store secrets, encrypted, for ${secret:NAME} in the configuration file."""


@secrets.command("set")
@click.argument("name")
@click.argument("value", nargs=-1, metavar="")
@common
def set_secret(output: Output, name: str, value: tuple[str, ...]) -> None:
    """Store a secret. Its value is asked for, or read from standard input without the newline at its end."""
    if value:
        raise click.UsageError("a value is not taken from the command line; leave it out and type or pipe it")
    _vault().set(name, _asked(name))
    if output.as_json:
        answer({"name": name})
    else:
        say(f"stored; write ${{secret:{name}}} in the configuration file")


@secrets.command("list")
@common
def list_secrets(output: Output) -> None:
    """Show the names of the stored secrets, and when each was set."""
    rows = [{"name": name, "set_at": _moment(row.set_at)} for name, row in _vault().rows().items()]
    if output.as_json:
        answer({"secrets": rows})
        return
    for row in rows:
        say(f"{row['name']}\t{row['set_at']}")
    if not rows:
        note("no secrets are stored; to store one: mcp-gateway secrets set NAME")


@secrets.command("rm")
@click.argument("name")
@common
def remove(output: Output, name: str) -> None:
    """Forget a secret. Exits with 66 when there is none of that name."""
    _vault().remove(name)
    if output.as_json:
        answer({"name": name})
    else:
        say(f"removed {name}")


@secrets.command("rotate")
@common
def rotate(output: Output) -> None:
    """Encrypt all secrets anew: with a new key, or the first one of MCP_GATEWAY_SECRET_KEY."""
    done = _vault().rotate()
    if output.as_json:
        answer({"secrets": done.count, "key": done.place, "not_needed": done.idle})
        return
    if done.place is None:
        note("there is no key yet, and no secrets; the first one makes it: mcp-gateway secrets set NAME")
        return
    say(f"{done.count} secret{'' if done.count == 1 else 's'} encrypted anew; key: {done.place}")
    for idle in done.idle:
        note(f"not needed any more: {idle}")


def _vault() -> Vault:
    from mcp_gateway.config.discover import folders
    from mcp_gateway.security.vault import Vault

    return Vault(folders(os.environ).state, os.environ)


def _asked(name: str) -> str:
    if sys.stdin.isatty():
        typed: str = click.prompt(f"Value of {name} (not shown)", hide_input=True, err=True)
        return typed
    piped = sys.stdin.buffer.read(_MOST_BYTES)
    try:
        text = piped.decode()
    except UnicodeDecodeError:
        raise InvalidParams("the value on standard input is not UTF-8 text") from None
    return text.removesuffix("\r\n") if text.endswith("\r\n") else text.removesuffix("\n")


def _moment(epoch_s: int) -> str:
    return datetime.fromtimestamp(epoch_s, UTC).isoformat()


COMMANDS = {"secrets": secrets}
