"""`login` and `logout`: tokens for a server that wants OAuth, kept encrypted in the state folder.

The address of the page goes to a person; no token is ever shown.
"""

from __future__ import annotations

import os
import sys
import webbrowser
from contextlib import suppress
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import TYPE_CHECKING

import anyio
import click

from mcp_gateway.cli.options import common, config_path
from mcp_gateway.cli.output import Output, answer, note, say
from mcp_gateway.config import Config, HttpServer, Server, SseServer, folders, load_config
from mcp_gateway.errors import BadConfig, InvalidParams, UnknownName
from mcp_gateway.security.principal import LOCAL

if TYPE_CHECKING:
    from mcp_gateway.upstream.oauth.account import Account

_PRINCIPAL = click.option(
    "--principal",
    default=LOCAL.id,
    metavar="ID",
    help="Whose login, where the server has `isolation: user`: key:NAME, or oauth:SUBJECT. Default: yours.",
)


@click.command("login")
@click.argument("name")
@click.option("--no-browser", is_flag=True, help="Only show the address of the page.")
@_PRINCIPAL
@common
def login(output: Output, name: str, no_browser: bool, principal: str) -> None:
    """Log in to a server with OAuth; a running gateway uses the login at once. Exits with 3 when it is refused."""
    config = load_config(config_path(output), environ=os.environ)
    server = _remote(config, name, principal)
    account = anyio.run(_login, name, server, config, no_browser, principal)
    ends_at = None if account.ends_at is None else datetime.fromtimestamp(int(account.ends_at), UTC).isoformat()
    renews = account.tokens.refresh is not None or server.auth is None or server.auth.client_credentials
    if output.as_json:
        shown = {"server": name, "principal": principal, "issuer": account.issuer, "scope": account.tokens.scope}
        answer({**shown, "ends_at": ends_at, "renews": renews})
        return
    say(f"logged in to {name} at {account.issuer}" + ("" if principal == LOCAL.id else f" for {principal}"))
    if not renews and ends_at is not None:
        note(f"the issuer gave nothing to renew it with: it ends at {ends_at}")


@click.command("logout")
@click.argument("name", required=False)
@click.option("--all", "every", is_flag=True, help="Forget the logins of all servers, of any configuration file.")
@_PRINCIPAL
@common
def logout(output: Output, name: str | None, every: bool, principal: str) -> None:
    """Forget the login of a server. Exits with 66 when there is none."""
    from mcp_gateway.upstream.oauth.store import TokenStore, forget_all

    if every == (name is not None):
        raise click.UsageError("name a server, or give --all")
    if every and principal != LOCAL.id:
        raise click.UsageError("--all forgets everybody's logins; leave --principal out")
    state = folders(os.environ).state
    if name is None:
        count = forget_all(state, os.environ)
    else:
        server = _remote(load_config(config_path(output), environ=os.environ), name, principal)
        if not TokenStore(state, os.environ, name, str(server.url), principal).forget():
            raise UnknownName("login", name)
        count = 1
    if output.as_json:
        answer({"forgotten": count})
    else:
        say(f"forgot {count} login{'' if count == 1 else 's'}")


async def _login(
    name: str, server: HttpServer | SseServer, config: Config, no_browser: bool, principal: str
) -> Account:
    from mcp_gateway.upstream.define import login_settings, origin
    from mcp_gateway.upstream.oauth.entry import log_in

    settings = login_settings(server, config.security.private_networks)
    assert settings is not None, "_remote has seen to it"
    way = origin(name, server, os.environ, config.limits.max_result)
    state = folders(os.environ).state
    show = _show if no_browser else _open
    return await log_in(way, str(server.url), settings, state, os.environ, show, principal=principal)


def _remote(config: Config, name: str, principal: str) -> HttpServer | SseServer:
    """The entry of a server that wants a login. Raises UnknownName, BadConfig, InvalidParams."""
    server: Server | None = config.servers.get(name)
    if server is None:
        near = get_close_matches(name, config.servers, n=1)
        raise UnknownName("server", name, nearest=near[0] if near else None)
    if name in config.skipped:
        raise BadConfig(config.skipped[name])
    if not isinstance(server, HttpServer | SseServer) or server.auth is None:
        raise InvalidParams(f"the server {name!r} wants no login: its entry has no `auth: oauth`", server=name)
    if principal != LOCAL.id and server.isolation != "user":
        raise InvalidParams(
            f"the server {name!r} has one login for everybody: its entry has no `isolation: user`; "
            "leave --principal out",
            server=name,
        )
    return server


def _show(url: str) -> None:
    note(f"log in here: {url}")


def _open(url: str) -> None:
    """Show the address, too: a browser may open elsewhere, or not at all."""
    _show(url)
    if sys.stdin.isatty():
        with suppress(webbrowser.Error):
            webbrowser.open(url)


COMMANDS = {"login": login, "logout": logout}
