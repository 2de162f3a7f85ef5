"""`serve`: the gateway itself."""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import TYPE_CHECKING

import anyio
import click

from mcp_gateway.cli.options import common, config_path
from mcp_gateway.cli.output import Output, note
from mcp_gateway.config import Config, ahead, load_config
from mcp_gateway.security.private_file import check_unshared

if TYPE_CHECKING:
    from mcp_gateway.app import App

MODES = ("all", "search", "auto")


@click.command("serve")
@click.option("--stdio", is_flag=True, help="Serve standard input and output; binds no port.")
@click.option("--host", help="Address to bind. Default: server.host.")
@click.option("--port", type=click.IntRange(0, 65535), help="TCP port, 0: any free one. Default: server.port.")
@click.option("--profile", help="Serve this profile where the address names none. Default: everything.")
@click.option("--expose", type=click.Choice(MODES), help="What tool lists hold. Default: expose.mode.")
@common
def serve(
    output: Output,
    stdio: bool = False,
    host: str | None = None,
    port: int | None = None,
    profile: str | None = None,
    expose: str | None = None,
) -> None:
    """Serve all upstreams as one MCP server, over HTTP or over standard input and output."""
    if stdio and (host is not None or port is not None):
        raise click.UsageError("--stdio binds no port; leave out --host and --port")
    config = load_config(config_path(output), environ=os.environ)
    check_unshared(config.path)
    _tell(config)
    ahead.check(config)
    options = {"use_uvloop": find_spec("uvloop") is not None}
    if stdio:
        anyio.run(_stdio, config, output.level, profile, expose, backend_options=options)
    else:
        anyio.run(_http, config, output.level, profile, expose, host, port, backend_options=options)


async def _stdio(config: Config, level: str | None, profile: str | None, expose: str | None) -> None:
    app = _app(config, level, profile, expose)
    from mcp_gateway.serving import serve_stdio

    await serve_stdio(app)


async def _http(
    config: Config, level: str | None, profile: str | None, expose: str | None, host: str | None, port: int | None
) -> None:
    app = _app(config, level, profile, expose)
    from mcp_gateway.serving import serve_http

    settings = config.server
    await serve_http(
        app,
        host or settings.host,
        settings.port if port is None else port,
        lambda url: note(f"listening on {url}{settings.base_path}/mcp"),
    )


def _app(config: Config, level: str | None, profile: str | None, expose: str | None) -> App:
    from mcp_gateway.app import App  # here: mistakes in the file are told without a second of imports
    from mcp_gateway.call import Mode, Selection

    selection = Selection(profile, Mode(expose) if expose else None)
    return App(config, environ=os.environ, log_level=level, selection=selection)


def _tell(config: Config) -> None:
    """What was understood differently, and which servers are left out today, before anything else."""
    for line in ahead.told(config):
        note(line)


COMMANDS = {"serve": serve}
