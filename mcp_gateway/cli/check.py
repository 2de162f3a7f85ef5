"""`validate` and `schema`: the configuration file without any server."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import click

import mcp_gateway
from mcp_gateway.cli.options import common, config_path
from mcp_gateway.cli.output import Output, answer, note, say

_SCHEMA = Path(mcp_gateway.__file__).parent / "config" / "gateway.schema.json"
"""Made by `mcp_gateway.config.schema`, which a quick answer cannot wait for."""


@click.command("validate")
@click.argument("file", required=False, type=click.Path(path_type=Path))
@common
def validate(output: Output, file: Path | None) -> None:
    """Check a configuration file; every problem is told with file:line:col. Exits with 78 when it is bad."""
    from mcp_gateway.config import ahead, load_config

    path = config_path(replace(output, config=file or output.config))
    config = load_config(path, environ=os.environ)
    ahead.check(config)
    left_out = dict(config.skipped)
    if output.as_json:
        answer(
            {
                "file": str(path),
                "servers": list(config.servers),
                "skipped": left_out,
                "notes": (*config.notes, *ahead.notes(config)),
            }
        )
        return
    for line in ahead.told(config):
        note(line)
    count = len(config.servers)
    say(f"{path}: ok, {count} server{'' if count == 1 else 's'}{f', {len(left_out)} left out' if left_out else ''}")


@click.command("schema")
@common
def schema(output: Output) -> None:
    """Print the JSON Schema of the configuration file, for editors."""
    answer(json.loads(_SCHEMA.read_text(encoding="utf-8")))


COMMANDS = {"validate": validate, "schema": schema}
