"""Who trusts which definition: every offered tool passes here before it is listed.

Offered tools enter, the withheld ones and why leave. What was judged is kept in memory and
written behind; what other processes approve is taken over. Catalogs and doors are unknown here.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

import anyio
import anyio.to_thread

from mcp_gateway.errors import InvalidParams, PinsUnreadable, UnknownName
from mcp_gateway.security.pin_file import PinFile
from mcp_gateway.security.pins import (
    UNKNOWN,
    Act,
    Book,
    Change,
    Offered,
    Record,
    Seen,
    Trust,
    Verdict,
    apply,
    changed_fields,
)

logger = logging.getLogger(__name__)

SAVE_AFTER_S = 0.5
"""What was judged is written this long after the first of it, several at once (our choice)."""

SAVE_WITHIN_S: Final = 0.4
"""Waiting for other writers; a thread that waits cannot be stopped, and stdio has to end within 1.5 s (our choice)."""

MAX_SERVER_BYTES: Final = 32 * 1024 * 1024
"""Definitions kept for one server, pinned or withheld: a server that invents tools must not fill the disk. What does
not fit is withheld and not kept, so it cannot be approved. Our choice: twice what one list can hold
(`limits.max_result`)."""

Wanted = Sequence[str] | Mapping[str, str] | None
"""Tools to approve: by name, by name and the digest that was looked at, or all that are withheld."""

UNREADABLE: Final = "the file of pinned definitions cannot be read; the log says more"
FULL: Final = "this server has offered too many different definitions to keep another"


class PinDesk:
    """The pins of this process. `on_change` hears when other tools may be offered than were before."""

    def __init__(self, file: PinFile, on_change: Callable[[], None]) -> None:
        self._file = file
        self._on_change = on_change
        self._trust: Mapping[str, Trust] = {}
        self._journal: list[Change] = []
        self._unsaved = anyio.Event()
        self._book: Book = {}
        self._unreadable: PinsUnreadable | None = None
        self._refused_save = False
        self._full: set[str] = set()
        try:
            self._book = file.read()
        except PinsUnreadable as unreadable:
            self._close(unreadable)

    @property
    def book(self) -> Book:
        """Every record; not to be changed. Raises PinsUnreadable."""
        if self._unreadable is not None:
            raise self._unreadable
        return self._book

    def configure(self, trust: Mapping[str, Trust]) -> None:
        """Take over how far each server is trusted; those not named are trusted at first sight."""
        self._trust = trust

    # -- judging -------------------------------------------------------------------------------------------------

    def judge(self, server: str, tools: Iterable[Offered]) -> dict[str, str]:
        """The tools that are not to be offered, each with the reason for operators; pins what is seen first."""
        trust = self._trust.get(server, Trust.FIRST_USE)
        if trust is Trust.OFF:
            return {}
        if self._unreadable is not None:
            return {tool.name: UNREADABLE for tool in tools}
        records = self._book.get(server, {})
        left_bytes = MAX_SERVER_BYTES - sum(map(_size, records.values()))
        withheld: dict[str, str] = {}
        for tool in tools:
            record = records.get(tool.name, UNKNOWN)
            verdict = record.verdict(tool.digest)
            seen = None if verdict is Verdict.PINNED and record.withheld is None else Seen.of(tool, time.time())
            # 1. pinned, and nothing else was offered meanwhile; 2. pinned again; 3. believed now; 4. withheld
            if seen is None:
                continue
            fits = len(seen.definition) <= left_bytes + _length(record.withheld)
            if verdict is Verdict.PINNED:
                self._enter(Change(Act.WITHHOLD, server, tool.name, seen))
            elif verdict is Verdict.NEW and trust is Trust.FIRST_USE and fits:
                self._enter(Change(Act.PIN, server, tool.name, seen))
            else:
                kept = self._keep(server, tool, record, seen, fits)
                withheld[tool.name] = _reason(record, seen) if kept else FULL
            left_bytes += _size(record) - _size(self._book.get(server, {}).get(tool.name, UNKNOWN))
        return withheld

    def _keep(self, server: str, tool: Offered, record: Record, seen: Seen, fits: bool) -> bool:
        """Note what is withheld, for approval; False when there is no room for it."""
        if record.withheld is not None and record.withheld.digest == tool.digest:
            return True
        if fits:
            self._enter(Change(Act.WITHHOLD, server, tool.name, seen))
            level = logging.INFO if record.pinned is None else logging.WARNING
            logger.log(level, "pins.withheld server=%s tool=%s digest=%s", server, tool.name, tool.digest)
        elif server not in self._full:
            self._full.add(server)
            logger.warning("pins.full server=%s max_bytes=%d", server, MAX_SERVER_BYTES)
        return fits

    # -- approving -----------------------------------------------------------------------------------------------

    def approve(self, server: str, tools: Wanted = None) -> tuple[Change, ...]:
        """Believe withheld definitions, as `approvals` has it. Raises UnknownName, InvalidParams, PinsUnreadable."""
        approved = approvals(self.book, server, tools)
        for change in approved:
            logger.info("pins.approved server=%s tool=%s digest=%s", server, change.tool, change.seen.digest)
            self._enter(change)
        self._on_change()
        return approved

    # -- the file ------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Write what was judged, until cancelled."""
        while True:
            await self._unsaved.wait()
            await anyio.sleep(SAVE_AFTER_S)
            await self.save()

    async def save(self) -> None:
        """Write what was judged since the last time; returns at once when nothing was.

        A disk that refuses is told once; what was judged holds in this process, and is tried again with the next.
        While another process writes, it is tried again without one.
        """
        if not self._journal or self._unreadable is not None:
            return
        journal, self._journal = self._journal, []
        self._unsaved = anyio.Event()
        try:
            self._take(await anyio.to_thread.run_sync(self._file.update, journal, SAVE_WITHIN_S))
        except PinsUnreadable as unreadable:
            self._close(unreadable)
            self._on_change()
        except OSError as refused:
            self._journal = journal + self._journal
            if isinstance(refused, TimeoutError):
                self._unsaved.set()
            if not self._refused_save:
                logger.warning("pins.not_saved reason=%s", refused.strerror)
            self._refused_save = True
        else:
            self._refused_save = False

    async def reload(self) -> None:
        """Another process may have written the file: take over what it approved or saw first."""
        try:
            book = await anyio.to_thread.run_sync(self._file.read)
        except PinsUnreadable as unreadable:
            self._close(unreadable)
            self._on_change()
            return
        was, self._unreadable = self._unreadable, None
        if self._take(book) or was is not None:
            self._on_change()

    def _enter(self, change: Change) -> None:
        apply(self._book, [change])
        self._journal.append(change)
        self._unsaved.set()

    def _take(self, book: Book) -> bool:
        """Make it ours, with what was judged meanwhile; whether something else is believed now."""
        apply(book, self._journal)
        before, self._book = self._book, book
        return _believed(before) != _believed(book)

    def _close(self, unreadable: PinsUnreadable) -> None:
        """Fail closed (R-PIN-1)."""
        self._unreadable = unreadable
        logger.error("pins.unreadable path=%s reason=%s", self._file.path, unreadable.message)


def approvals(book: Book, server: str, tools: Wanted = None) -> tuple[Change, ...]:
    """What approving these tools of a server changes.

    Raises:
        UnknownName: no such server, or a tool of it that is not withheld.
        InvalidParams: a tool has another definition by now than the one that was looked at.
    """
    if server not in book:
        raise UnknownName("server", server)
    withheld = {name: record.withheld for name, record in book[server].items() if record.withheld is not None}
    wanted = list(withheld) if tools is None else tools
    for tool in wanted:
        if tool not in withheld:
            raise UnknownName(f"withheld tool of {server!r}", tool)
        if isinstance(wanted, Mapping) and wanted[tool] != withheld[tool].digest:
            raise InvalidParams(f"{tool!r} of {server!r} has changed again; look at the difference anew")
    return tuple(Change(Act.APPROVE, server, tool, withheld[tool]) for tool in wanted)


def _reason(record: Record, seen: Seen) -> str:
    if record.pinned is None:
        return "new, and not approved yet (trust: strict)"
    fields = changed_fields(record.pinned.decoded(), seen.decoded()) or ("text beyond the cap",)
    return f"changed since it was pinned: {', '.join(fields)}"


def _size(record: Record) -> int:
    return _length(record.pinned) + _length(record.withheld)


def _length(seen: Seen | None) -> int:
    return 0 if seen is None else len(seen.definition)


def _believed(book: Book) -> dict[tuple[str, str], str]:
    return {
        (server, tool): record.pinned.digest
        for server, records in book.items()
        for tool, record in records.items()
        if record.pinned is not None
    }
