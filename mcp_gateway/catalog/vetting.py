"""Checks on what a server lists: broken definitions go one by one, each with a reason.

Raw pages of list results enter, a `Part` leaves. One bad definition costs its server
that definition, never the listing. Remote `$ref`s are neither fetched nor judged;
names that only collide are the catalog's business.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from mcp_gateway.catalog import schemas, shapes, text
from mcp_gateway.catalog.offer import Entry, Part
from mcp_gateway.catalog.problem import Code, Problem
from mcp_gateway.catalog.route import IDENTITY, LIST_FIELD, Kind
from mcp_gateway.catalog.suspicion import suspicions
from mcp_gateway.catalog.templates import UriTemplate
from mcp_gateway.errors import UpstreamProtocolError
from mcp_gateway.security.pins import digest
from mcp_gateway.wire import Malformed, Raw, check, encode, fields, loads


@dataclass(frozen=True, slots=True)
class Caps:
    """Upper bounds of one server's offer (our choice; a thousand tools is ten times what any host takes).

    Truncated: descriptions and titles, also inside of schemas. Left out: what is above the counts, tools with a
    larger input schema, larger output schemas, names and URIs longer than `name_chars`.
    """

    tools: int = 1_000
    templates: int = 1_000
    others: int = 10_000
    description_bytes: int = 4 * 1024
    schema_bytes: int = 64 * 1024
    name_chars: int = 2_048

    def count(self, kind: Kind) -> int:
        return {Kind.TOOL: self.tools, Kind.TEMPLATE: self.templates}.get(kind, self.others)


DEFAULT_CAPS: Final = Caps()


def read_pages(kind: Kind, server: str, pages: Iterable[Raw | bytes], caps: Caps = DEFAULT_CAPS) -> Part:
    """Turn the results of one list method, all pages in order, into a part of an offer.

    Raises:
        UpstreamProtocolError: a page is no list result at all; a failed list is never an empty one.
    """
    vetting = _Vetting(kind, server, caps)
    ttls: list[int] = []
    scopes: list[Any] = []
    for page in pages:
        result = _list_result(kind, server, page)
        for entry in result[LIST_FIELD[kind]]:
            vetting.add(entry)
        ttl_ms = loads(result.get("ttlMs", Raw(b"null")))
        ttls += [ttl_ms] if type(ttl_ms) is int and ttl_ms >= 0 else []
        scopes.append(loads(result.get("cacheScope", Raw(b"null"))))
    public = bool(scopes) and all(scope == "public" for scope in scopes)
    return vetting.part(ttl_ms=min(ttls, default=None), public=public)


def vet(kind: Kind, server: str, entries: Iterable[Raw], caps: Caps = DEFAULT_CAPS) -> Part:
    """The same checks for definitions that are already apart, those of a snapshot for instance.

    They are not sealed and not read for wording: that was done when they came from the server, whole.
    """
    vetting = _Vetting(kind, server, caps, whole=False)
    for entry in entries:
        vetting.add(entry)
    return vetting.part()


def _list_result(kind: Kind, server: str, page: Raw | bytes) -> dict[str, Any]:
    try:
        result: dict[str, Any] = dict(fields(page))
        result[LIST_FIELD[kind]] = _decode_list(result[LIST_FIELD[kind]])
    except (Malformed, KeyError, msgspec.DecodeError):
        message = f"upstream {server!r} answered a list request without {LIST_FIELD[kind]}"
        raise UpstreamProtocolError(message, server=server) from None
    return result


_decode_list = msgspec.json.Decoder(list[Raw]).decode


class _Broken(Exception):
    """This definition cannot be offered."""

    def __init__(self, code: Code, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


_URI: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:\S*")
"""Scheme and the rest (RFC 3986, 3): older clients refuse a listing that holds a relative URI."""


class _Vetting:
    """One kind of one server, while it is being read."""

    def __init__(self, kind: Kind, server: str, caps: Caps, *, whole: bool = True) -> None:
        self.kind = kind
        self.server = server
        self.caps = caps
        self.whole = whole
        self.entries: dict[str, Entry] = {}
        self.digests: dict[str, str] = {}
        self.problems: list[Problem] = []
        self.read = 0
        self.surplus = 0

    def part(self, *, ttl_ms: int | None = None, public: bool = False) -> Part:
        if self.surplus:
            reason = f"{self.surplus} left out: more than {self.caps.count(self.kind)} {LIST_FIELD[self.kind]}"
            self.note(Code.TOO_MANY, None, reason)
        return Part(self.kind, tuple(self.entries.values()), tuple(self.problems), ttl_ms, public, self.digests)

    def note(self, code: Code, name: str | None, reason: str) -> None:
        self.problems.append(Problem(code, self.server, None if name is None else text.printable(name), reason))

    def add(self, raw: Raw) -> None:
        self.read += 1
        if len(self.entries) >= self.caps.count(self.kind):
            self.surplus += 1
            return
        name = None
        try:
            entry = _decoded(raw)
            name = self.identity(entry)
            seal = digest(entry) if self.kind is Kind.TOOL and self.whole else None
            self.entries[name] = self.vetted(name, entry)
            if seal is not None:
                self.digests[name] = seal
        except _Broken as broken:
            self.note(broken.code, f"#{self.read}" if name is None else name, broken.reason)

    def identity(self, entry: Entry) -> str:
        field = IDENTITY[self.kind]
        name = _text_in(entry, field)
        if name is None or not name.strip():
            raise _Broken(Code.BAD_NAME, f"{field} is missing, blank or not a string")
        if text.has_unprintable(name):
            raise _Broken(Code.BAD_NAME, f"{field} holds control or invisible characters: {text.printable(name)!r}")
        if len(name) > self.caps.name_chars:
            raise _Broken(Code.BAD_NAME, f"{field} is longer than {self.caps.name_chars} characters")
        if name in self.entries:
            raise _Broken(Code.DUPLICATE, f"offered twice: {text.printable(name)!r}; the first one stays")
        return name

    def vetted(self, name: str, entry: Entry) -> Entry:
        self.check_uri(name, entry)
        if self.kind is Kind.TOOL:
            self.check_schemas(name, entry)
        self.check_description(name, entry)
        self.cap_prose(name, entry)
        if self.kind is Kind.PROMPT and "arguments" in entry and not shapes.fits(shapes.ARGUMENTS, entry["arguments"]):
            self.drop_null(name, entry, "arguments")
        for field, shape in shapes.OPTIONAL[self.kind].items():
            if field in entry and not shapes.fits(shape, entry[field]):
                self.mend(name, entry, field, shape)
        if self.whole:
            self.suspect(name, entry)
        return entry

    def mend(self, name: str, entry: Entry, field: str, shape: msgspec.json.Decoder[Any]) -> None:
        """A field that typed clients would refuse: without its null members if that is all, else not at all."""
        pruned = _without_nulls(entry[field])
        if pruned is None or not shapes.fits(shape, pruned):
            self.drop(name, entry, field)
            return
        entry[field] = pruned
        self.note(Code.BAD_FIELD, name, f"{field} has members that are null: these were dropped")

    def check_uri(self, uri: str, entry: Entry) -> None:
        if self.kind not in {Kind.RESOURCE, Kind.TEMPLATE}:
            return
        if _text_in(entry, "name") is None:
            raise _Broken(Code.BAD_NAME, "name is missing or not a string")
        if self.kind is Kind.RESOURCE and not _URI.fullmatch(uri):
            raise _Broken(Code.BAD_NAME, "not an absolute URI")
        if self.kind is Kind.TEMPLATE and UriTemplate.parse(uri) is None:
            raise _Broken(Code.BAD_NAME, "not a URI template of RFC 6570")

    def check_schemas(self, name: str, entry: Entry) -> None:
        given = entry.get("inputSchema")
        if given is None:
            raise _Broken(Code.BAD_SCHEMA, "has no input schema")
        if len(bytes(given)) > self.caps.schema_bytes:
            raise _Broken(Code.SCHEMA_TOO_LARGE, f"the input schema is larger than {self.caps.schema_bytes} bytes")
        fault = schemas.fault(loads(given))
        if fault is not None:
            raise _Broken(Code.BAD_SCHEMA, fault)
        if len(bytes(entry.get("outputSchema", Raw(b"")))) > self.caps.schema_bytes:
            del entry["outputSchema"]
            self.note(
                Code.SCHEMA_TOO_LARGE, name, f"outputSchema is larger than {self.caps.schema_bytes} bytes: dropped"
            )

    def check_description(self, name: str, entry: Entry) -> None:
        if "description" not in entry:
            return
        description = _text_in(entry, "description")
        if description is None:
            self.drop_null(name, entry, "description")
            return
        cut = text.truncate(description, self.caps.description_bytes)
        if cut != description:
            entry["description"] = Raw(encode(cut))
            self.note(Code.TRUNCATED, name, f"the description is longer than {self.caps.description_bytes} bytes")

    def cap_prose(self, name: str, entry: Entry) -> None:
        """Titles, and the texts inside schemas and arguments: no longer than a description may be."""
        for field, raw in entry.items():
            if field in text.OPAQUE or len(bytes(raw)) <= self.caps.description_bytes:
                continue
            given = {field: loads(raw)}
            cut = text.cap(given, self.caps.description_bytes)
            if cut != given:
                entry[field] = Raw(encode(cut[field]))
                self.note(Code.TRUNCATED, name, f"{field} has texts longer than {self.caps.description_bytes} bytes")

    def suspect(self, name: str, entry: Entry) -> None:
        """Report wording that deserves a look."""
        shown = {field: loads(raw) for field, raw in entry.items() if field not in text.OPAQUE}
        for reason in suspicions(shown):
            self.note(Code.SUSPICIOUS_TEXT, name, f"its text {reason}")

    def drop_null(self, name: str, entry: Entry, field: str) -> None:
        if bytes(entry[field]) != b"null":
            raise _Broken(Code.BAD_FIELD, f"{field} has the wrong type")
        self.drop(name, entry, field)

    def drop(self, name: str, entry: Entry, field: str) -> None:
        del entry[field]
        self.note(Code.BAD_FIELD, name, f"{field} has the wrong type: dropped")


def _decoded(raw: Raw) -> Entry:
    try:
        check(bytes(raw))
        entry = fields(raw)
        for value in entry.values():
            loads(value)
    except Malformed as malformed:
        raise _Broken(Code.BAD_ENTRY, f"not a definition: {malformed}") from None
    return entry


def _without_nulls(value: Raw) -> Raw | None:
    """An object without its null members; None when it is no object."""
    try:
        members = fields(value)
    except Malformed:
        return None
    return Raw(encode({key: member for key, member in members.items() if bytes(member) != b"null"}))


def _text_in(entry: Entry, field: str) -> str | None:
    value = loads(entry.get(field, Raw(b"null")))
    return value if isinstance(value, str) else None
