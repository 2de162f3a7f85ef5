"""The values of one server entry, once they are known: on or off, what kind of server, how its command is written.

A respelled and interpolated entry enters; one with our keys and a type leaves. Other spellings of values are read as
ours, with a note where that is a guess.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Final

from mcp_gateway.config.document import Unreadable
from mcp_gateway.config.environment import Environment, read_env_file
from mcp_gateway.config.hosts import TYPES
from mcp_gateway.config.problems import Report, nearest
from mcp_gateway.config.spelling import put
from mcp_gateway.config.tree import Items, Leaf, Origin, Table, dotted, made, plain

CHILD_KEYS: Final = frozenset({"command", "args", "env", "cwd", "sandbox"})
REMOTE_KEYS: Final = frozenset({"url", "headers", "tls", "proxy", "auth"})

MILLISECONDS_ABOVE: Final = 1000
"""Claude Code and Gemini count `timeout` in ms, Cline, Goose and Codex in s. 1000 s are unlikely, 1000 ms too."""


@dataclass(frozen=True, slots=True)
class Settled:
    """An entry whose keys and type are ours; `kind` is None when nothing tells what it is."""

    table: Table
    kind: str | None
    missing: str | None = None


def settle(table: Table, path: str, report: Report, environment: Environment) -> Settled:
    """Read the values of a respelled and interpolated entry. `missing` names a file that is not there."""
    for step in (_enabled, _command_table, _command_list, _milliseconds):
        table = step(table, path, report)
    table, missing = _env_file(table, environment)
    kind = _kind(table, path, report)
    if kind is None:
        return Settled(table, None, missing)
    return Settled(_only_own_keys(table, kind, path, report), kind, missing)


def _enabled(table: Table, path: str, report: Report) -> Table:
    entry = table.get("enabled")
    if entry is None:
        return table
    table = table.without("enabled")
    if isinstance(entry.value, Leaf) and entry.value.origin is Origin.UNRESOLVED:
        return table
    text = entry.value.text if isinstance(entry.value, Leaf) else None
    if text is None or text.casefold() not in _OPPOSITE:
        report.problem(entry.value.mark, dotted(path, entry.written), "is not true or false")
        return table
    opposite = Leaf(_OPPOSITE[text.casefold()], entry.value.mark)
    return put(table, replace(entry, key="disabled", value=opposite), path, report)


_OPPOSITE = dict.fromkeys(("true", "yes", "on", "1"), "false") | dict.fromkeys(("false", "no", "off", "0"), "true")


_ZEDS_COMMAND: Final = {"path": "command", "args": "args", "env": "env", "timeout": "timeout"}


def _command_table(table: Table, path: str, report: Report) -> Table:
    """Zed's mapping: the program's path, its arguments, its variables."""
    entry = table.get("command")
    if entry is None or not isinstance(entry.value, Table) or entry.value.get("path") is None:
        return table  # without a path, the model says what is wrong with it
    path = dotted(path, entry.written)
    table = table.without("command")
    for inner in entry.value.entries:
        if key := _ZEDS_COMMAND.get(inner.key):
            table = put(table, inner.renamed(key), path, report)
        else:
            text = f"unknown key{nearest(inner.key, _ZEDS_COMMAND)}"
            report.problem(inner.mark, dotted(path, inner.written), text)
    return table


def _command_list(table: Table, path: str, report: Report) -> Table:
    """OpenCode's array: the program, then its arguments."""
    entry = table.get("command")
    if entry is None or not isinstance(entry.value, Items) or not entry.value.items:
        return table
    program, *arguments = entry.value.items
    args = table.get("args")
    if args is not None and isinstance(args.value, Items):
        arguments += args.value.items
    table = table.put(replace(entry, value=program))
    if not arguments:
        return table
    return table.put(made("args", Items(tuple(arguments), entry.value.mark), entry.mark))


def _milliseconds(table: Table, path: str, report: Report) -> Table:
    for key in ("timeout", "startup_timeout"):
        entry = table.get(key)
        if entry is None or not isinstance(entry.value, Leaf) or not _is_milliseconds(entry.value.text):
            continue
        number = f"{float(entry.value.text or 0) / 1000:g}"
        report.note(entry.value.mark, dotted(path, entry.written), f"above 1000, so taken as milliseconds: {number} s")
        table = table.put(replace(entry, value=replace(entry.value, text=number)))
    return table


def _is_milliseconds(text: str | None) -> bool:
    return bool(text and re.fullmatch(r"\d{1,15}(\.\d*)?", text, re.ASCII) and float(text) > MILLISECONDS_ABOVE)


def _env_file(table: Table, environment: Environment) -> tuple[Table, str | None]:
    """Put the variables of `envFile` behind those of `env`."""
    name = table.text("envFile")
    if name is None:
        return table, None
    try:
        file = read_env_file(environment.path(name))
    except Unreadable as reason:
        return table.without("envFile"), f"envFile: {reason}"
    mark = table.mark
    entries = tuple(made(key, Leaf(value, mark, Origin.INTERPOLATED), mark) for key, value in file.values.items())
    env = table.get("env") or made("env", Table((), mark), mark)
    table = table.without("envFile")
    if not isinstance(env.value, Table):
        return table, None
    own = {entry.key for entry in env.value.entries}
    added = tuple(entry for entry in entries if entry.key not in own)
    return table.put(replace(env, value=replace(env.value, entries=(*env.value.entries, *added)))), None


def _kind(table: Table, path: str, report: Report) -> str | None:
    """What the entry is.

    1. A type that we know decides.
    2. A type that we do not know is a problem; the rest decides what else to check.
    3. Else a command means stdio, a url that ends in /sse the legacy transport, any other url HTTP.
    """
    entry = table.get("type")
    if entry is not None and isinstance(entry.value, Leaf) and entry.value.origin is not Origin.UNRESOLVED:
        folded = {name.casefold(): kind for name, kind in TYPES.items()}
        if kind := folded.get((entry.value.text or "").casefold()):
            return kind
        known = ", ".join(sorted(set(TYPES.values())))
        report.problem(
            entry.value.mark,
            dotted(path, entry.written),
            f"not a type of server; expected one of {known}{nearest(entry.value.text or '', TYPES)}",
        )
    if table.get("command"):
        return "stdio"
    if table.get("url") is None:
        return None
    url = (table.text("url") or "").partition("?")[0]
    return "sse" if url.rstrip("/").endswith("/sse") else "http"


def _only_own_keys(table: Table, kind: str, path: str, report: Report) -> Table:
    """Refuse the keys of the other kind; hosts that write them empty are forgiven."""
    foreign, owner = (
        (REMOTE_KEYS, "a server with a url has it") if kind == "stdio" else (CHILD_KEYS, "a stdio server has it")
    )
    if kind == "stdio" and (url := table.get("url")) and table.get("command"):
        report.problem(url.mark, dotted(path, url.written), "a server has a command or a url, not both")
        table = table.without("url")
    for entry in table.entries:
        if entry.key not in foreign:
            continue
        if plain(entry.value):
            report.problem(entry.mark, dotted(path, entry.written or entry.key), f"only {owner}")
        table = table.without(entry.key)
    return table.put(made("type", Leaf(kind, table.mark), table.mark))
