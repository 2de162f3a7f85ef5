"""Options that several commands share, given before or after the command's name."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import Any

import click

from mcp_gateway.cli.output import Output
from mcp_gateway.errors import CallerError

Command = Callable[..., Any]


class NoSuchFile(CallerError):
    """There is no configuration file where one was named, or nowhere at all."""

    code = "unknown_name"


def common(command: Command) -> Command:
    """Give a command `-c/--config` and `--json`, and hand it an `Output` first."""

    @wraps(command)
    def with_output(own_config: Path | None = None, own_json: bool = False, **rest: Any) -> Any:
        output: Output = click.get_current_context().obj
        merged = replace(output, config=own_config or output.config, as_json=own_json or output.as_json)
        return command(merged, **rest)

    file = click.option("-c", "--config", "own_config", type=click.Path(path_type=Path), help="Configuration file.")
    as_json = click.option("--json", "own_json", is_flag=True, help="Answer in JSON.")
    return file(as_json(with_output))


def config_path(output: Output) -> Path:
    """The configuration file to use. Raises NoSuchFile."""
    from mcp_gateway.config import find_config

    found = find_config(output.config, environ=os.environ, folder=Path.cwd())
    if found is None:
        raise NoSuchFile("no configuration file: write ./gateway.yaml, or name one with -c FILE")
    if not os.path.lexists(found):
        raise NoSuchFile(f"no such configuration file: {found}")
    return found
