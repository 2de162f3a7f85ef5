"""Pinned tool definitions: what a server said of a tool when it was believed, and what it says now.

Definitions enter as raw fields with a digest, verdicts and changed records leave. A changed
definition is a rug pull until somebody has looked at it (security facts, R-PIN-1). This module
is pure: the file is `pin_file`'s, and what follows from a verdict is `pin_desk`'s.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import Any, Final

import msgspec

FIELDS: Final = ("name", "title", "description", "inputSchema", "outputSchema", "annotations")
"""What models and hosts act on (R-PIN-1). The rest, `_meta` for instance, may hold dates and counters."""

_canonical = msgspec.json.Encoder(order="deterministic").encode


class Trust(StrEnum):
    """When a server's tool definitions are believed: at first sight, once approved, always."""

    FIRST_USE = "first-use"
    STRICT = "strict"
    OFF = "off"


class Verdict(StrEnum):
    """How an offered definition stands to the pinned one."""

    PINNED = "pinned"
    NEW = "new"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class Offered:
    """One tool as its server offers it now. `digest` is of the definition as received, `fields` may be cut."""

    name: str
    digest: str
    fields: Mapping[str, msgspec.Raw]


class Seen(msgspec.Struct, frozen=True):
    """A definition, and when it was first seen (epoch seconds). `definition` is an object of FIELDS."""

    digest: str
    at: float
    definition: msgspec.Raw

    @classmethod
    def of(cls, tool: Offered, at: float) -> Seen:
        known = {name: tool.fields[name] for name in FIELDS if name in tool.fields}
        return cls(tool.digest, at, msgspec.Raw(msgspec.json.encode(known)))

    def decoded(self) -> dict[str, Any]:
        plain: dict[str, Any] = msgspec.json.decode(self.definition, type=dict[str, Any])
        return plain


class Record(msgspec.Struct, frozen=True):
    """One tool: the definition that is believed, and the one that is withheld."""

    pinned: Seen | None = None
    withheld: Seen | None = None

    def verdict(self, digest: str) -> Verdict:
        if self.pinned is None:
            return Verdict.NEW
        return Verdict.PINNED if self.pinned.digest == digest else Verdict.CHANGED


Book = dict[str, dict[str, Record]]
"""Server -> tool, by the server's own name -> record. Tools that are gone stay: a later one may be another."""

UNKNOWN: Final = Record()


class Act(StrEnum):
    """What happens to a record."""

    PIN = "pin"
    WITHHOLD = "withhold"
    APPROVE = "approve"


@dataclass(frozen=True, slots=True)
class Change:
    """One act on one record. Applied again to a record that another process has changed, it does no harm."""

    act: Act
    server: str
    tool: str
    seen: Seen

    def applied(self, record: Record) -> Record:
        """The record afterwards; the same object when nothing changes.

        1. Approval holds whatever was there.
        2. First sight pins only what nobody has pinned before.
        3. The definition that is pinned is not withheld any more.
        4. Any other is, in place of one that was withheld before.
        """
        if self.act is Act.APPROVE:
            return Record(self.seen)
        if self.act is Act.PIN:
            return record if record.pinned else Record(self.seen)
        if record.verdict(self.seen.digest) is Verdict.PINNED:
            return Record(record.pinned) if record.withheld else record
        return Record(record.pinned, self.seen)


def apply(book: Book, changes: Iterable[Change]) -> bool:
    """Enter changes into a book; whether it is another one afterwards."""
    differs = False
    for change in changes:
        records = book.setdefault(change.server, {})
        before = records.get(change.tool, UNKNOWN)
        after = change.applied(before)
        differs = differs or after is not before
        records[change.tool] = after
    return differs


def digest(fields: Mapping[str, msgspec.Raw]) -> str:
    """The digest of a definition: of its FIELDS as JSON, whatever their order, spaces and escapes."""
    known = {name: msgspec.json.decode(fields[name]) for name in FIELDS if name in fields}
    return f"sha256:{sha256(_canonical(known)).hexdigest()}"


def changed_fields(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[str, ...]:
    """Which FIELDS of two decoded definitions differ; none when only what had been cut off does."""
    return tuple(name for name in FIELDS if _canonical(old.get(name)) != _canonical(new.get(name)))
