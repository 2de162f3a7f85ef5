"""The keys of one server entry, from any host's spelling to ours, before references are resolved.

Renames keys and turns settings that name a variable into references. What only hosts know is left out with a note.
Values are the business of `settling`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from mcp_gateway.config.hosts import HOST_KEYS, REFERENCES, RENAMED, TOOL_LISTS
from mcp_gateway.config.problems import Report
from mcp_gateway.config.tree import Entry, Items, Leaf, Node, Table, dotted, is_null, made, plain


def respell(table: Table, path: str, report: Report) -> Table:
    """Rename keys, fold tool lists into `tools`, write variable names as references, drop what is a host's."""
    result = Table((), table.mark)
    for entry in table.entries:
        if _is_hosts_own(entry):
            report.note(entry.mark, dotted(path, entry.written), "only its host knows this key; ignored")
        elif entry.key not in (*TOOL_LISTS, *REFERENCES):
            result = put(result, entry.renamed(RENAMED.get(entry.key, entry.key)), path, report)
    if table.get("httpUrl") and result.get("type") is None:
        result = result.put(made("type", Leaf("http", table.mark), table.mark))
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


def put(table: Table, entry: Entry, path: str, report: Report) -> Table:
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
        return replace(entry, value=Table((made("include", entry.value, entry.mark),), entry.mark))
    return entry


def _put_inside(table: Table, group: str, entry: Entry, path: str, report: Report) -> Table:
    """Add an entry to the mapping `group` of the table, made when it is not there."""
    outer = table.get(group) or made(group, Table((), entry.mark), entry.mark)
    if not isinstance(outer.value, Table):
        return table  # the model says what is wrong with it
    same = next((old for old in outer.value.entries if old.key.casefold() == entry.key.casefold()), None)
    if same is not None:
        entry = entry.renamed(same.key)
    return table.put(replace(outer, value=put(outer.value, entry, path, report)))


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
