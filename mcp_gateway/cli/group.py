"""The group of commands: what there is, where it lives, and what its failures exit with."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Final

import click

from mcp_gateway import __version__
from mcp_gateway.cli.output import Output, report, report_as
from mcp_gateway.errors import CODES, GatewayError

logger = logging.getLogger(__name__)

COMMANDS: Final[Mapping[str, tuple[str, str]]] = {
    "serve": ("serve", "Serve all upstreams as one MCP server."),
    "list": ("look", "List tools, resources, prompts or servers."),
    "call": ("call", "Call a tool."),
    "ask": ("ask", "Have a model answer with the tools."),
    "inspect": ("look", "Show everything known of one server."),
    "status": ("look", "Show the state of the running gateway."),
    "login": ("login", "Log in to a server with OAuth."),
    "logout": ("login", "Forget the login of a server."),
    "keys": ("keys", "Create, list and revoke API keys."),
    "secrets": ("secrets", "Store secrets, encrypted, for ${secret:NAME} in the file."),
    "cache": ("cache", "Show or clear what is kept of answers."),
    "pins": ("pins", "Show or approve tool definitions that have changed."),
    "tokens": ("tokens", "Show how much of a model's context the tools take."),
    "validate": ("check", "Check a configuration file."),
    "schema": ("check", "Print the JSON Schema of the configuration file."),
}
"""Command -> its module in this package, and its line in the help."""

_UNEXPECTED = 1
_USAGE_ERROR = 2
_TOOL_FAILED = 5
_INTERRUPTED = 130
"""128 and SIGINT, as shells have it."""

_NOBODY_READS = 141
"""128 and SIGPIPE."""


class Commands(click.Group):
    """A group that imports a command's module only when the command is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"mcp_gateway.cli.{COMMANDS[cmd_name][0]}")
        command: click.Command = module.COMMANDS[cmd_name]
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            near = get_close_matches(args[0], COMMANDS, n=1)
            hint = f"did you mean {near[0]!r}?" if near else "see --help"
            ctx.fail(f"no such command {args[0]!r}, {hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, help) for name, (_, help) in COMMANDS.items()])


@click.group(cls=Commands, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="mcp-gateway")
@click.option("-c", "--config", type=click.Path(path_type=Path), help="Configuration file. Default: ./gateway.yaml.")
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
@click.option("-v", "--verbose", is_flag=True, help="Log more, to standard error.")
@click.option("-q", "--quiet", is_flag=True, help="Log errors only.")
@click.pass_context
def cli(ctx: click.Context, config: Path | None, as_json: bool, verbose: bool, quiet: bool) -> None:
    """One MCP endpoint in front of all of your MCP servers."""
    level = "debug" if verbose else "error" if quiet else None
    ctx.obj = Output(config=config, as_json=as_json, level=level)
    if ctx.invoked_subcommand is not None:
        return
    if sys.stdin is not None and not sys.stdin.isatty():
        ctx.invoke(Commands.get_command(cli, ctx, "serve"), stdio=True)  # type: ignore[arg-type]  # "serve" is there
    else:
        ctx.invoke(Commands.get_command(cli, ctx, "status"), welcome=True)  # type: ignore[arg-type]  # so is "status"


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit status; mistakes of the user are told in a line, without a traceback."""
    as_json = "--json" in arguments
    try:
        result = cli.main(list(arguments), prog_name="mcp-gateway", standalone_mode=False)
    except click.exceptions.Exit as done:
        return done.exit_code
    except (click.Abort, KeyboardInterrupt):
        return _INTERRUPTED
    except SystemExit:
        return _NOBODY_READS  # click's answer to a closed pipe, its only one of this kind
    except click.ClickException as mistake:
        _show(mistake, as_json)
        return mistake.exit_code or _USAGE_ERROR
    except GatewayError as failure:
        report(failure, as_json=as_json)
        return CODES[failure.code].exit if failure.code in CODES else _TOOL_FAILED
    except Exception:  # boundary: a fault of ours; logged, since only the log takes secrets out of a traceback
        logger.exception("cli.failed")
        report_as("internal_error", "this is a fault of mcp-gateway; the traceback is above", as_json=as_json)
        return _UNEXPECTED
    return result if isinstance(result, int) else 0


def _show(mistake: click.ClickException, as_json: bool) -> None:
    if as_json:
        report_as("usage", mistake.format_message(), as_json=True)
    else:
        mistake.show()
