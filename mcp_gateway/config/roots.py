"""The root of a file: our sections, and server entries under any host's name.

A host's own file holds much that is none of our business; it is recognised by its
name or by keys that only hosts have, and then everything but its servers is ignored.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from mcp_gateway.config.document import kind
from mcp_gateway.config.hosts import HOST_FILES, HOST_FOLDERS, HOST_ROOT_KEYS
from mcp_gateway.config.model import Settings
from mcp_gateway.config.problems import Report, nearest
from mcp_gateway.config.tree import Entry, Items, Leaf, Mark, Node, Table, dotted, is_null

SERVER_KEYS: Final = ("mcpServers", "servers", "context_servers", "mcp_servers")
"""Root keys that hold servers, in any host's file and in ours."""

OPENCODE_KEY: Final = "mcp"

_ONLY_OURS: Final = frozenset(
    {"auth", "cache", "cluster", "env_files", "expose", "limits", "llm", "observability", "reload"}
)

_OPENCODE_REFERENCE = re.compile(r"\{(env|file):([^{}]+)\}")


@dataclass(frozen=True, slots=True)
class Named:
    """One server entry: its name, how the file spells the way to it, and what stands there."""

    name: str
    path: str
    mark: Mark
    node: Node


@dataclass(frozen=True, slots=True)
class Root:
    """A file taken apart."""

    sections: Table
    servers: tuple[Named, ...]


def take_apart(root: Table, path: Path, report: Report) -> Root:
    """Separate the servers from the settings; unknown keys and servers of the same name go to the report."""
    servers: list[Named] = []
    sections: list[Entry] = []
    rest: list[Entry] = []
    for entry in root.entries:
        if entry.key in SERVER_KEYS:
            servers += _servers(entry, report)
        elif entry.key == OPENCODE_KEY and (node := _opencode_servers(entry.value)):
            servers += _servers(replace(entry, value=node), report)
        elif entry.key in Settings.model_fields:
            sections.append(entry)
        elif entry.key != "$schema":
            rest.append(entry)
    if is_host_file(root, path):
        rest += sections
        sections = []
        if not any(entry.key in SERVER_KEYS for entry in root.entries):
            report.note(root.mark, "", f"no servers in it; they are read from {', '.join(sorted(SERVER_KEYS))}")
        _note_ignored(rest, report)
    else:
        _refuse(rest, report)
    return Root(Table(tuple(sections), root.mark), _unique(servers, report))


def is_host_file(root: Table, path: Path) -> bool:
    """Whose file it is.

    1. A key that only we have, or our file name: ours.
    2. A host's file or folder name: a host's.
    3. A `server` section: ours (OpenCode has one too, but a file name of its own).
    4. A key that only hosts have: a host's.
    """
    keys = {entry.key for entry in root.entries}
    if keys & _ONLY_OURS or root.text("version") == "1" or path.stem == "gateway":
        return False
    if path.name in HOST_FILES or path.absolute().parent.name in HOST_FOLDERS:
        return True
    return "server" not in keys and bool(keys & HOST_ROOT_KEYS)


def _note_ignored(entries: list[Entry], report: Report) -> None:
    if entries:
        keys = ", ".join(dotted("", entry.written) for entry in entries[:10])
        more = f" and {len(entries) - 10} more" if len(entries) > 10 else ""
        report.note(entries[0].mark, "", f"a host's file; only its servers are read, not {keys}{more}")


def _refuse(entries: list[Entry], report: Report) -> None:
    known = (*Settings.model_fields, *SERVER_KEYS)
    for entry in entries:
        hint = nearest(entry.key, known)
        if not hint and _looks_like_a_server(entry):
            hint = ", servers stand below 'mcpServers'"
        report.problem(entry.mark, dotted("", entry.written), f"unknown key{hint}")


def _looks_like_a_server(entry: Entry) -> bool:
    """Whoever pastes the inside of a host's block leaves its first line behind."""
    return isinstance(entry.value, Table) and any(each.key in ("command", "url") for each in entry.value.entries)


def _servers(entry: Entry, report: Report) -> list[Named]:
    """The entries of a mapping by name, or of a list of entries with a `name`."""
    if isinstance(entry.value, Table):
        path = dotted("", entry.written)
        return [Named(each.key, dotted(path, each.written), each.mark, each.value) for each in entry.value.entries]
    if isinstance(entry.value, Items):
        numbered = enumerate(entry.value.items)
        return [named for index, item in numbered if (named := _listed(item, f"{entry.written}[{index}]", report))]
    if not is_null(entry.value):
        found = kind(entry.value)
        report.problem(entry.value.mark, entry.written, f"expected a mapping of servers by name, found {found}")
    return []


def _listed(item: Node, path: str, report: Report) -> Named | None:
    if not isinstance(item, Table):
        report.problem(item.mark, path, f"expected a mapping, found {kind(item)}")
        return None
    name = item.text("name")
    if name is None:
        report.problem(item.mark, path, "'name' is missing")
        return None
    return Named(name, path, item.mark, item.without("name"))


def _unique(servers: list[Named], report: Report) -> tuple[Named, ...]:
    first: dict[str, Named] = {}
    for named in servers:
        if named.name in first:
            report.problem(
                named.mark,
                named.path,
                f"a second server of the name {named.name!r}, first written on line {first[named.name].mark.line}",
            )
        else:
            first[named.name] = named
    return tuple(first.values())


def _opencode_servers(node: Node) -> Node | None:
    """OpenCode's `mcp`, when that is what it is: entries of type local or remote, references in its own form."""
    entries = node.entries if isinstance(node, Table) else ()
    typed = [isinstance(each.value, Table) and each.value.text("type") in ("local", "remote") for each in entries]
    return _respell_references(node) if typed and all(typed) else None


def _respell_references(node: Node) -> Node:
    match node:
        case Leaf():
            return replace(node, text=node.text and _OPENCODE_REFERENCE.sub(r"${\1:\2}", node.text))
        case Items():
            return replace(node, items=tuple(_respell_references(item) for item in node.items))
        case Table():
            respelt = (replace(entry, value=_respell_references(entry.value)) for entry in node.entries)
            return replace(node, entries=tuple(respelt))
