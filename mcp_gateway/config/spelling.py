"""One server entry, from any host's spelling to ours.

Works in two steps around interpolation: `respell` renames keys and turns settings
that name a variable into references; `settle` reads the values (booleans, types,
milliseconds) once they are known. What only hosts know is left out with a note.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from mcp_gateway.config.document import Unreadable
from mcp_gateway.config.environment import Environment, read_env_file
from mcp_gateway.config.hosts import HOST_KEYS, REFERENCES, RENAMED, TOOL_LISTS, TYPES
from mcp_gateway.config.problems import Report, nearest
from mcp_gateway.config.tree import Entry, Items, Leaf, Mark, Node, Origin, Table, dotted, is_null, plain

CHILD_KEYS: Final = frozenset({"command", "args", "env", "cwd", "sandbox"})
REMOTE_KEYS: Final = frozenset({"url", "headers", "tls", "proxy", "auth"})

MILLISECONDS_ABOVE: Final = 1000
"""Claude Code and Gemini count `timeout` in ms, Cline, Goose and Codex in s. 1000 s are unlikely, 1000 ms too."""


def respell(table: Table, path: str, report: Report) -> Table:
    """Rename keys, fold tool lists into `tools`, write variable names as references, drop what is a host's."""
    result = Table((), table.mark)
    for entry in table.entries:
        if _is_hosts_own(entry):
            report.note(entry.mark, dotted(path, entry.written), "only its host knows this key; ignored")
        elif entry.key not in (*TOOL_LISTS, *REFERENCES):
            result = _put(result, entry.renamed(RENAMED.get(entry.key, entry.key)), path, report)
    if table.get("httpUrl") and result.get("type") is None:
        result = result.put(_made("type", Leaf("http", table.mark), table.mark))
    for entry in table.entries:
        if entry.key in TOOL_LISTS:
            result = _put_inside(result, "tools", entry.renamed(TOOL_LISTS[entry.key]), path, report)
        elif entry.key in REFERENCES and not is_null(entry.value):
            result = _put_references(result, entry, path, report)
    return result


def _is_hosts_own(entry: Entry) -> bool:
    """Gemini's `trust` is a boolean, ours is not."""
    if entry.key == "trust":
        return isinstance(entry.value, Leaf) and entry.value.text in ("true", "false")
    return entry.key in HOST_KEYS


def _made(key: str, value: Node, mark: Mark) -> Entry:
    """An entry that the file does not have."""
    return Entry(key, mark, value, "")


def _put(table: Table, entry: Entry, path: str, report: Report) -> Table:
    """Add an entry; a second spelling of the same thing is a problem."""
    if first := table.get(entry.key):
        spelt = first.written or first.key
        same = f"means the same as {spelt!r} on line {first.mark.line}; keep one"
        report.problem(entry.mark, dotted(path, entry.written), same)
        return table
    return table.put(_tool_list(entry))


def _tool_list(entry: Entry) -> Entry:
    """Copilot's `tools: ["*"]` is a list of what to include."""
    if entry.key == "tools" and isinstance(entry.value, Items):
        return replace(entry, value=Table((_made("include", entry.value, entry.mark),), entry.mark))
    return entry


def _put_inside(table: Table, group: str, entry: Entry, path: str, report: Report) -> Table:
    """Add an entry to the mapping `group` of the table, made when it is not there."""
    outer = table.get(group) or _made(group, Table((), entry.mark), entry.mark)
    if not isinstance(outer.value, Table):
        return table  # the model says what is wrong with it
    same = next((old for old in outer.value.entries if old.key.casefold() == entry.key.casefold()), None)
    if same is not None:
        entry = entry.renamed(same.key)
    return table.put(replace(outer, value=_put(outer.value, entry, path, report)))


def _put_references(table: Table, entry: Entry, path: str, report: Report) -> Table:
    group, shape, read = _REFERENCES[entry.key]
    made = read(entry)
    if made is None:
        report.problem(entry.value.mark, dotted(path, entry.written), f"expected {shape}")
        return table
    for each in made:
        table = _put_inside(table, group, each, path, report)
    return table


def _bearer(entry: Entry) -> list[Entry] | None:
    return _text(entry.renamed("Authorization"), entry.value, "Bearer %s")


def _bearer_variable(entry: Entry) -> list[Entry] | None:
    return _text(entry.renamed("Authorization"), entry.value, "Bearer ${%s}")


def _header_variables(entry: Entry) -> list[Entry] | None:
    if not isinstance(entry.value, Table):
        return None
    made = [_text(each, each.value, "${%s}") for each in entry.value.entries]
    return [each for texts in made for each in texts or ()] if None not in made else None


def _child_variables(entry: Entry) -> list[Entry] | None:
    """Codex passes these on when they are set."""
    if not isinstance(entry.value, Items):
        return None
    made = [_text(entry.renamed(str(plain(item))), item, "${%s:-}") for item in entry.value.items]
    return [each for texts in made for each in texts or ()] if None not in made else None


def _text(entry: Entry, value: Node, form: str) -> list[Entry] | None:
    """The entry with the text put into `form`; none for an empty text, None when it is no text."""
    if not isinstance(value, Leaf) or value.text is None:
        return None
    return [replace(entry, value=replace(value, text=form % value.text))] if value.text else []


_REFERENCES: dict[str, tuple[str, str, Callable[[Entry], list[Entry] | None]]] = {
    "api_key": ("headers", "text", _bearer),
    "bearer_token_env_var": ("headers", "the name of a variable", _bearer_variable),
    "env_http_headers": ("headers", "a mapping of header names to variable names", _header_variables),
    "env_vars": ("env", "a list of variable names", _child_variables),
}
"""Key -> (the group it goes into, what it must be, what it becomes)."""


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
    return _put(table, replace(entry, key="disabled", value=opposite), path, report)


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
            table = _put(table, inner.renamed(key), path, report)
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
    return table.put(_made("args", Items(tuple(arguments), entry.value.mark), entry.mark))


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
    entries = tuple(_made(key, Leaf(value, mark, Origin.INTERPOLATED), mark) for key, value in file.values.items())
    env = table.get("env") or _made("env", Table((), mark), mark)
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
    return table.put(_made("type", Leaf(kind, table.mark), table.mark))
