"""What the command line says, and where: answers to standard output, everything else to standard error.

Whatever is said passes through here, so that no control character of a tool or a
server reaches the terminal. There is no colour, so none has to be switched off.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from mcp_gateway.errors import GatewayError
from mcp_gateway.observe.text import visible, visible_json


@dataclass(frozen=True, slots=True)
class Output:
    """The options that every command has. `level` is None when the file decides."""

    config: Path | None = None
    as_json: bool = False
    level: str | None = None


_PLACED = re.compile(r"[^\n]+:\d+:\d+: ")
"""What names its place, as editors and scripts look for it: at the start of the line."""


def answer(value: Any) -> None:
    """An answer for programs: one JSON document on standard output."""
    click.echo(visible_json(json.dumps(value, ensure_ascii=False, indent=2)))


def say(text: str) -> None:
    """An answer for people, on standard output."""
    click.echo(visible(text, keep="\n\t"))


def note(text: str) -> None:
    """Something worth knowing that is not the answer."""
    click.echo(visible(text, keep="\n\t"), err=True)


def report(failure: GatewayError, *, as_json: bool) -> None:
    """A failure on standard error: `error[code]: message`, problems with their places as they are, or one JSON line."""
    report_as(failure.code, failure.message, failure.server, as_json=as_json)


def report_as(code: str, message: str, server: str | None = None, *, as_json: bool) -> None:
    if as_json:
        body = {"code": code, "message": message, "server": server}
        note(json.dumps({"error": body}, ensure_ascii=False))
    else:
        note(message if _PLACED.match(message) else f"error[{code}]: {message}")
