"""What the command line says, and where: answers to standard output, everything else to standard error."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from mcp_gateway.errors import GatewayError


@dataclass(frozen=True, slots=True)
class Output:
    """The options that every command has. `level` is None when the file decides."""

    config: Path | None = None
    as_json: bool = False
    level: str | None = None


def answer(value: Any) -> None:
    """An answer for programs: one JSON document on standard output."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=2))


def report(failure: GatewayError, *, as_json: bool) -> None:
    """A failure on standard error: `error[code]: message`, or one JSON line."""
    if as_json:
        body = {"code": failure.code, "message": failure.message, "server": failure.server}
        click.echo(json.dumps({"error": body}, ensure_ascii=False), err=True)
    else:
        click.echo(f"error[{failure.code}]: {failure.message}", err=True)


def note(text: str) -> None:
    """Something worth knowing that is not the answer."""
    click.echo(text, err=True)
