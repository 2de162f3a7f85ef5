"""`keys`: making, listing and revoking API keys. They live in the state folder and count at once."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from mcp_gateway.cli.options import common
from mcp_gateway.cli.output import Output, answer, note, say
from mcp_gateway.errors import GatewayError, InvalidParams, UnknownName
from mcp_gateway.security.key_store import KEYS_FILE, KeyStore
from mcp_gateway.security.keys import DEFAULT_SCOPES, ApiKey, hashed, new_key, principal_id
from mcp_gateway.security.principal import SCOPES, Allowance, Grant

if TYPE_CHECKING:
    from mcp_gateway.security.vault import Vault

_GLOB = "Glob; may be given several times."


@click.group("keys")
def keys() -> None:
    """Create, list and revoke API keys. While there is any, every HTTP door asks for one."""


@keys.command("create")
@click.argument("name")
@click.option("--scope", "scopes", multiple=True, type=click.Choice(sorted(SCOPES)), help="Default: read and call.")
@click.option("--server", "servers", multiple=True, help=f"Servers it sees. {_GLOB}")
@click.option("--deny-server", "deny_servers", multiple=True, help=f"Servers it does not see. {_GLOB}")
@click.option("--tool", "tools", multiple=True, help=f"Tools it sees, by offered name. {_GLOB}")
@click.option("--deny-tool", "deny_tools", multiple=True, help=f"Tools it does not see. {_GLOB}")
@click.option("--profile", help="Profile that it is bound to.")
@click.option("--mode", type=click.Choice(["all", "search", "auto"]), help="What listings show it.")
@click.option("--expires", help="When it ends: 30d, 12h, or a date such as 2027-01-31. Default: never.")
@click.option("--rate", help="Calls a second or minute: 20/s, 600/m. Default: limits.rate.")
@click.option("--signing", is_flag=True, help="Make a secret to sign requests with, too.")
@click.option("--concurrency", type=click.IntRange(min=1), help="Calls at once. Default: no limit of its own.")
@common
def create(output: Output, name: str, *, signing: bool, **options: Any) -> None:
    """Make a key. It is shown this once, on standard output, and kept only as a hash.

    With --signing a second line holds the secret to sign with; the name of the key is its keyid.
    """
    secret = new_key()
    key = _key(name, hashed(secret), options)
    store = _store()
    is_first = not store.read()
    store.add(key)
    shown = {"key": secret, **({"signing_secret": _new_signing_secret(name)} if signing else {})}
    if output.as_json:
        answer({**shown, **_row(key)})
        return
    for line in shown.values():
        say(line)
    note(f"key {name!r} may: {', '.join(sorted(key.scopes))}; this is the only time it is shown")
    if is_first:
        note("it is the first key: from now on every HTTP door asks for one, also where a gateway is running")


@keys.command("list")
@common
def list_(output: Output) -> None:
    """Show the keys of the state folder, without the keys."""
    rows = [_row(key) for key in _store().read()]
    if output.as_json:
        answer({"keys": rows})
        return
    if not rows:
        note("no keys; make one with: mcp-gateway keys create NAME")
    for row in rows:
        until = "expired" if row["expired"] else f"until {row['expires']}" if row["expires"] else "no end"
        say("  ".join([row["name"], ", ".join(row["scopes"]), until, *_bounds(row)]))


@keys.command("revoke")
@click.argument("name")
@common
def revoke(output: Output, name: str) -> None:
    """End a key; requests with it are refused from now on, and its logins to servers are forgotten."""
    store = _store()
    store.revoke(name)
    _forget_signing_secret(name)
    _forget_logins(name)
    if output.as_json:
        answer({"revoked": name})
    else:
        say(f"key {name!r} is revoked")
        if not store.read():
            note("it was the last key: a running gateway goes on asking for one until it is started anew")


def _store() -> KeyStore:
    from mcp_gateway.config import folders

    return KeyStore(folders(os.environ).state / KEYS_FILE)


def _new_signing_secret(name: str) -> str:
    """Made and stored; a key whose secret cannot be stored is none."""
    from mcp_gateway.security.signing_secrets import new_signing_secret

    secret = new_signing_secret()
    try:
        _signing().set(name, secret)
    except GatewayError:
        _store().revoke(name)
        raise
    return secret


def _forget_signing_secret(name: str) -> None:
    with suppress(UnknownName):
        _signing().remove(name)


def _forget_logins(name: str) -> None:
    """Another key of the same name must not find them."""
    from mcp_gateway.config import folders
    from mcp_gateway.upstream.oauth.store import forget_of

    forget_of(folders(os.environ).state, os.environ, principal_id(name))


def _signing() -> Vault:
    from mcp_gateway.config import folders
    from mcp_gateway.security.vault import Vault
    from mcp_gateway.security.vault_file import SIGNING

    return Vault(folders(os.environ).state, os.environ, SIGNING)


def _key(name: str, hash: str, options: dict[str, Any]) -> ApiKey:
    """Raises InvalidParams."""
    if not name.strip() or not name.isprintable():
        raise InvalidParams("a key needs a printable name")
    return ApiKey(
        name=name,
        hash=hash,
        scopes=frozenset(options["scopes"]) or DEFAULT_SCOPES,
        grant=Grant(
            servers=options["servers"] or ("*",),
            deny_servers=options["deny_servers"],
            tools=options["tools"] or ("*",),
            deny_tools=options["deny_tools"],
            profile=options["profile"],
            mode=options["mode"],
        ),
        allowance=Allowance(rate_per_s=_rate(options["rate"]), concurrency=options["concurrency"]),
        created_unix_s=time.time(),
        expires_unix_s=_end(options["expires"]),
    )


def _rate(text: str | None) -> float | None:
    from mcp_gateway.config.values import per_second

    return None if text is None else _read("--rate", per_second, text)


def _end(text: str | None) -> float | None:
    """A length of time from now, or a moment; local time unless it says."""
    from mcp_gateway.config.values import seconds

    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return time.time() + float(_read("--expires", seconds, text))
    end_unix_s = moment.astimezone().timestamp()
    if end_unix_s <= time.time():
        raise InvalidParams(f"--expires: {text} is over already")
    return end_unix_s


def _read(option: str, reader: Callable[[str], float], text: str) -> float:
    try:
        return reader(text)
    except ValueError as wrong:
        raise InvalidParams(f"{option}: {text} {wrong}") from None


def _row(key: ApiKey) -> dict[str, Any]:
    grant = key.grant
    return {
        "name": key.name,
        "hash": key.hash,
        "scopes": sorted(key.scopes),
        "servers": {"allow": list(grant.servers), "deny": list(grant.deny_servers)},
        "tools": {"allow": list(grant.tools), "deny": list(grant.deny_tools)},
        "profile": grant.profile,
        "mode": grant.mode,
        "rate_per_s": key.allowance.rate_per_s,
        "concurrency": key.allowance.concurrency,
        "created": _iso(key.created_unix_s),
        "expires": _iso(key.expires_unix_s),
        "expired": key.expired(time.time()),
    }


def _bounds(row: dict[str, Any]) -> Iterator[str]:
    """What a key is kept from, in the words of the options that made it."""
    for noun in ("server", "tool"):
        allow, deny = row[f"{noun}s"]["allow"], row[f"{noun}s"]["deny"]
        if allow != ["*"]:
            yield f"{noun}s {', '.join(allow)}"
        if deny:
            yield f"not {noun}s {', '.join(deny)}"
    if row["profile"]:
        yield f"profile {row['profile']}"


def _iso(unix_s: float | None) -> str | None:
    return None if unix_s is None else datetime.fromtimestamp(unix_s, UTC).isoformat(timespec="seconds")


COMMANDS = {"keys": keys}
