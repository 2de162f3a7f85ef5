"""Many offers become one set of definitions: admitted, renamed, cleaned, softened, routed.

Offers and rules enter in the order of the configuration, `Merged` leaves. Each server
is merged by itself and in that order, so a newcomer at the end changes nothing before it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Any, Final

from mcp_gateway.catalog import instructions, text
from mcp_gateway.catalog.compat import soften
from mcp_gateway.catalog.headers import BadHeader, header_params
from mcp_gateway.catalog.listing import Listed, lacks_object_type
from mcp_gateway.catalog.names import SEPARATOR, Namer, slugs
from mcp_gateway.catalog.offer import Entry, Offer
from mcp_gateway.catalog.problem import Code, Problem
from mcp_gateway.catalog.route import IDENTITY, Kind, Route
from mcp_gateway.catalog.rules import ExposeRules, ServerRules
from mcp_gateway.catalog.splice import rewrite_tool_meta
from mcp_gateway.catalog.suspicion import suspicions
from mcp_gateway.catalog.uris import Uris
from mcp_gateway.wire import Raw, encode, fields, loads

SCHEMA_META_KEY: Final = "io.mcp-gateway/schema"
"""Where a tool tells what was changed in its schemas."""

_WORD: Final = re.compile(r"[A-Za-z0-9_-]{4,}")
_TELLING: Final = re.compile(r"(?=.{6,})[A-Za-z0-9]+[_-].*")
"""Names that no sentence holds by accident."""


@dataclass(slots=True)
class Merged:
    """What merging leaves behind, in listing order."""

    listed: dict[Kind, list[Listed]]
    uris: Uris
    prefixes: Mapping[str, str]
    namer: Namer
    problems: list[Problem] = field(default_factory=list)
    texts: list[tuple[str, str]] = field(default_factory=list)
    """Each server's instructions, cleaned."""
    instructions: str | None = None


def merge(
    offers: Sequence[Offer],
    rules: Mapping[str, ServerRules],
    expose: ExposeRules,
    builtins: Iterable[Mapping[str, Any]],
) -> Merged:
    # Of every configured server, up or not: a name must not change because another server came or went.
    prefixes = slugs(list(dict.fromkeys([*rules, *(offer.server for offer in offers)])), rules)
    merged = Merged({kind: [] for kind in Kind}, Uris(prefixes), prefixes, Namer(expose, prefixes))
    for tool in builtins:
        _add_builtin(merged, fields(encode(tool)))
    siblings = _Siblings(offers, prefixes)
    for offer in offers:
        server = _Server(merged, offer, rules.get(offer.server, ServerRules()), expose, siblings)
        server.add_all()
        merged.texts.append((offer.server, server.clean_instructions()))
    texts = [(prefixes[server], text) for server, text in merged.texts]
    merged.instructions = instructions.merge(texts, expose.prefix)
    return merged


def _add_builtin(merged: Merged, entry: Entry) -> None:
    name = loads(entry["name"])
    merged.namer.builtin(name)
    merged.listed[Kind.TOOL].append(Listed.of(Route(Kind.TOOL, None, name, name), entry))


class _Siblings:
    """Which words in a description are telling names of another server's tools."""

    def __init__(self, offers: Sequence[Offer], prefixes: Mapping[str, str]) -> None:
        self._owners: dict[str, set[str]] = {}
        for offer in offers:
            for tool in offer.tools:
                self._enter(offer.server, prefixes[offer.server], loads(tool["name"]))

    def _enter(self, server: str, prefix: str, tool: str) -> None:
        for name in (tool, f"{prefix}{SEPARATOR}{tool}"):
            if _TELLING.fullmatch(name):
                self._owners.setdefault(name, set()).add(server)

    def named_in(self, server: str, prose: str) -> str | None:
        words = (word for word in _WORD.findall(prose) if word in self._owners)
        return next((word for word in words if server not in self._owners[word]), None)


class _Server:
    """One server's definitions on their way into the catalog."""

    def __init__(
        self, merged: Merged, offer: Offer, rules: ServerRules, expose: ExposeRules, siblings: _Siblings
    ) -> None:
        self._merged = merged
        self._offer = offer
        self._rules = rules
        self._expose = expose
        self._siblings = siblings
        self._server = offer.server

    def note(self, code: Code, name: str | None, reason: str) -> None:
        self._merged.problems.append(
            Problem(code, self._server, None if name is None else text.printable(name), reason)
        )

    def add_all(self) -> None:
        self._merged.problems += self._offer.problems
        # Resources first: a tool's user interface may be one of them, rewritten.
        for kind in (Kind.RESOURCE, Kind.TEMPLATE):
            for entry in self._offer.entries(kind):
                self.add_resource(kind, dict(entry))
        self.add_tools()
        for entry in self._offer.prompts:
            self.add_prompt(dict(entry))

    def add_resource(self, kind: Kind, entry: Entry) -> None:
        identity = IDENTITY[kind]
        uri = loads(entry[identity])
        route = self._merged.uris.claim(kind, self._server, uri)
        if route.exposed != uri:
            entry[identity] = Raw(encode(route.exposed))
            self.note(Code.URI_COLLISION, uri, f"another server offers this URI; exposed as {route.exposed}")
        self.clean(uri, entry)
        self._merged.listed[kind].append(Listed.of(route, entry))

    def add_prompt(self, entry: Entry) -> None:
        name = loads(entry["name"])
        exposed = self.name(Kind.PROMPT, name, name, entry)
        if exposed is not None:
            self.clean(name, entry)
            route = Route(Kind.PROMPT, self._server, exposed, name)
            self._merged.listed[Kind.PROMPT].append(Listed.of(route, entry))

    def add_tools(self) -> None:
        """In the server's order, named in another: a tool really called so goes before one that was renamed to it.

        A withheld tool keeps its name, so that no other one takes it meanwhile.
        """
        offered = ((loads(entry["name"]), entry) for entry in self._offer.tools)
        admitted = {name: dict(entry) for name, entry in offered if self._rules.admits(name)}
        exposed = {
            name: self.name(Kind.TOOL, name, self.wanted(name), admitted[name])
            for name in sorted(admitted, key=lambda name: self.wanted(name) != name)
        }
        for name, entry in admitted.items():
            given = exposed[name]
            if name in self._rules.withheld:
                self.note(Code.WITHHELD, name, self._rules.withheld[name])
            elif given is not None:
                self.add_tool(name, given, entry)
        self.note_unmatched()

    def note_unmatched(self) -> None:
        """Once the tools are known, a name in the configuration that none of them has is a mistake, or out of date."""
        if all(part.kind is not Kind.TOOL for part in self._offer.parts):
            return
        offered = [loads(entry["name"]) for entry in self._offer.tools]
        left_out = [problem.name for problem in self._offer.problems if problem.name is not None]
        for setting, name in self._rules.unmatched({*offered, *left_out}):
            close = get_close_matches(name, offered, n=1)
            hint = f"; did you mean {text.printable(close[0])!r}?" if close else ""
            self.note(Code.NO_SUCH_TOOL, name, f"{setting} names a tool that the server does not have{hint}")

    def wanted(self, name: str) -> str:
        return self._rules.rename.get(name, name)

    def add_tool(self, name: str, exposed: str, entry: Entry) -> None:
        self.clean(name, entry)
        self.describe(name, entry)
        route, modern = self.headers(Route(Kind.TOOL, self._server, exposed, name), entry)
        if self._expose.rewrites_schemas:
            self.soften(name, entry)
        if "_meta" in entry and self._merged.uris.rewrites(self._server):
            entry["_meta"] = rewrite_tool_meta(entry["_meta"], self.exposed_uri)
        self._merged.listed[Kind.TOOL].append(Listed.of(route, entry, modern=modern))

    def exposed_uri(self, uri: str) -> str:
        return self._merged.uris.exposed(self._server, uri)

    def name(self, kind: Kind, name: str, wanted: str, entry: Entry) -> str | None:
        exposed, gave_way = self._merged.namer.name(kind, self._server, name, wanted)
        if gave_way:
            outcome = "left out" if exposed is None else f"exposed as {exposed}"
            self.note(Code.NAME_COLLISION, name, f"the {kind} name {text.printable(wanted)!r} is taken; {outcome}")
        if exposed is not None and exposed != name:
            entry["name"] = Raw(encode(exposed))
        return exposed

    def describe(self, name: str, entry: Entry) -> None:
        """Put the user's own description in, or look into the server's."""
        own = self._rules.describe.get(name)
        if own is not None:
            entry["description"] = Raw(encode(own))
        elif "description" in entry:
            sibling = self._siblings.named_in(self._server, loads(entry["description"]))
            if sibling is not None:
                self.note(Code.NAMES_SIBLING, name, f"the description mentions another server's tool {sibling}")

    def clean(self, name: str, entry: Entry) -> None:
        """Strip what nobody can see from prose; flag it where it has to stay."""
        for key, raw in entry.items():
            if key in text.OPAQUE or not text.may_hide(raw):
                continue
            given = loads(raw)
            cleaned, stays = (text.clean(given), False) if isinstance(given, str) else text.scrub(given)
            if cleaned != given:
                self.note(Code.HIDDEN_TEXT, name, f"invisible characters {self.stripped_from()} {key}")
            if cleaned != given and self._expose.clean_texts:
                entry[key] = Raw(encode(cleaned))
            if stays:
                self.note(Code.HIDDEN_TEXT, name, f"invisible characters left in the data of {key}")

    def clean_instructions(self) -> str:
        given = self._offer.instructions or ""
        cleaned = text.clean(given)
        if cleaned != given:
            self.note(Code.HIDDEN_TEXT, None, f"invisible characters {self.stripped_from()} the instructions")
        for reason in suspicions(cleaned):
            self.note(Code.SUSPICIOUS_TEXT, None, f"the text of the instructions {reason}")
        return cleaned if self._expose.clean_texts else given

    def stripped_from(self) -> str:
        return "stripped from" if self._expose.clean_texts else "left in"

    def headers(self, route: Route, entry: Entry) -> tuple[Route, bool]:
        """The route with its headers, and whether modern clients may see the tool."""
        schema = bytes(entry["inputSchema"])
        if b"x-mcp-header" not in schema and b"\\u" not in schema:
            return route, True
        try:
            return replace(route, header_params=header_params(loads(schema))), True
        except BadHeader as bad:
            self.note(Code.BAD_HEADER, route.name, f"not listed to 2026-07-28 clients: {bad}")
            return route, False

    def soften(self, name: str, entry: Entry) -> None:
        """`schema_compat: safe`; what was done stands in the problems and in the tool's `_meta`."""
        schema, reasons = soften(loads(entry["inputSchema"]))
        changes = [f"inputSchema: {reason}" for reason in reasons]
        if changes:
            entry["inputSchema"] = Raw(encode(schema))
        if "outputSchema" in entry and lacks_object_type(entry["outputSchema"]):
            del entry["outputSchema"]
            changes.append("outputSchema: dropped, its type is not object")
        if changes:
            meta = fields(entry["_meta"]) if "_meta" in entry else {}
            entry["_meta"] = Raw(encode({**meta, SCHEMA_META_KEY: changes}))
            self.note(Code.SCHEMA_REWRITTEN, name, "; ".join(changes))
