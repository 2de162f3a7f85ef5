"""YAML text to a tree.

Works on PyYAML's events, not on its values: YAML 1.1 never gets to turn `no` into
False or `12:30` into 750. Merge keys (`<<`) work; anchors may be used `MAX_ALIASES`
times; tags beyond the core ones, several documents and non-scalar keys are refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import yaml

from mcp_gateway.config.problems import Report
from mcp_gateway.config.tree import MAX_DEPTH, Entry, Items, Leaf, Mark, Node, Table, dotted

MAX_ALIASES = 50
"""Uses of anchors in one file, counting those inside what an alias repeats. Our choice: a bomb needs many."""

_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_CORE_TAGS = frozenset(f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null", "map", "seq"))
_MERGE = "<<"
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_yaml(text: str, report: Report) -> Node | None:
    """The one document of `text`, None when it holds none. Duplicate keys go to the report.

    Raises:
        BadConfig: the text is not YAML, or uses what is refused.
    """
    events = yaml.parse(text, Loader=_LOADER)
    try:
        return _Composer(report, events).document()
    except yaml.MarkedYAMLError as error:
        raise report.fail(_mark(error.problem_mark or error.context_mark), _explain(error, text)) from None
    except yaml.reader.ReaderError as error:
        raise report.fail(_at_offset(text, error.position), "a control character; is this a text file?") from None


def _explain(error: yaml.MarkedYAMLError, text: str) -> str:
    """What is wrong, in our words for the two commonest slips."""
    lines = text.splitlines()
    marks = [mark for mark in (error.problem_mark, error.context_mark) if mark and mark.line < len(lines)]
    touched = [lines[mark.line] for mark in marks]
    if touched and "\t" in touched[0][: len(touched[0]) - len(touched[0].lstrip())]:
        return "a tab cannot indent YAML; use spaces"
    context = f" ({error.context}, from line {error.context_mark.line + 1})" if error.context_mark else ""
    hint = '; inside { } and [ ] a reference needs quotes: "${NAME}"' if any("${" in line for line in touched) else ""
    return f"not YAML: {error.problem}{context}{hint}"


def _mark(mark: Any) -> Mark:
    return Mark(mark.line + 1, mark.column + 1) if mark else Mark(1, 1)


def _at_offset(text: str, offset: int) -> Mark:
    before = text[:offset]
    return Mark(before.count("\n") + 1, offset - before.rfind("\n"))


@dataclass(slots=True)
class _Composer:
    """Builds nodes from events."""

    report: Report
    events: Iterator[Any]
    anchors: dict[str, Node] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    aliases: int = 0

    def document(self) -> Node | None:
        next(self.events)  # stream start
        if isinstance(next(self.events), yaml.StreamEndEvent):
            return None
        root = self.node(next(self.events), "", 0)
        next(self.events)  # document end
        more = next(self.events)
        if not isinstance(more, yaml.StreamEndEvent):
            raise self.report.fail(_mark(more.start_mark), "a second document; write one per file")
        return root

    def node(self, event: Any, path: str, depth: int) -> Node:
        mark = _mark(event.start_mark)
        if depth > MAX_DEPTH:
            raise self.report.fail(mark, f"nested deeper than {MAX_DEPTH} levels")
        if isinstance(event, yaml.AliasEvent):
            return self.alias(event, mark)
        if event.tag is not None and event.tag not in _CORE_TAGS and event.tag != "!":
            raise self.report.fail(mark, f"the tag {event.tag} is not understood")
        before = self.aliases
        node = self.content(event, mark, path, depth)
        if event.anchor:
            self.anchors[event.anchor] = node
            self.sizes[event.anchor] = self.aliases - before
        return node

    def content(self, event: Any, mark: Mark, path: str, depth: int) -> Node:
        if isinstance(event, yaml.ScalarEvent):
            null = event.tag == "tag:yaml.org,2002:null" or (event.implicit[0] and event.value in _NULLS)
            return Leaf(None if null else event.value, mark)
        if isinstance(event, yaml.SequenceStartEvent):
            return self.items(mark, path, depth)
        return self.table(mark, path, depth)

    def alias(self, event: Any, mark: Mark) -> Node:
        if event.anchor not in self.anchors:
            raise self.report.fail(mark, f"the anchor {event.anchor!r} is not defined before this line")
        self.aliases += 1 + self.sizes[event.anchor]
        if self.aliases > MAX_ALIASES:
            raise self.report.fail(mark, f"more than {MAX_ALIASES} uses of anchors")
        return self.anchors[event.anchor]

    def items(self, mark: Mark, path: str, depth: int) -> Items:
        items: list[Node] = []
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            items.append(self.node(event, f"{path}[{len(items)}]", depth + 1))
        return Items(tuple(items), mark)

    def table(self, mark: Mark, path: str, depth: int) -> Table:
        own: dict[str, Entry] = {}
        merged: list[Table] = []
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            key, key_mark = self.key(event, path, depth)
            value = self.node(next(self.events), dotted(path, key), depth + 1)
            if key == _MERGE and isinstance(event, yaml.ScalarEvent) and event.implicit[0]:
                merged.extend(self.merge_sources(value, key_mark))
            elif key in own:
                self.report.duplicate(key_mark, dotted(path, key), own[key].mark)
            else:
                own[key] = Entry(key, key_mark, value, key)
        return merge(Table(tuple(own.values()), mark), merged)

    def key(self, event: Any, path: str, depth: int) -> tuple[str, Mark]:
        node = self.node(event, path, depth)
        text = event.value if isinstance(event, yaml.ScalarEvent) else isinstance(node, Leaf) and node.text
        if not isinstance(text, str):
            raise self.report.fail(_mark(event.start_mark), "a key must be plain text")
        return text, _mark(event.start_mark)

    def merge_sources(self, value: Node, mark: Mark) -> list[Table]:
        sources = value.items if isinstance(value, Items) else (value,)
        tables = [source for source in sources if isinstance(source, Table)]
        if len(tables) < len(sources):
            raise self.report.fail(mark, "'<<' merges mappings only")
        return tables


def merge(own: Table, sources: list[Table]) -> Table:
    """`own` with the keys it lacks taken from `sources`; the first source that has a key wins."""
    entries = {entry.key: entry for source in reversed(sources) for entry in source.entries}
    for entry in own.entries:
        entries.pop(entry.key, None)
    return replace(own, entries=(*own.entries, *entries.values()))
