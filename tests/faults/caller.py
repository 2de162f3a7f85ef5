"""A client that calls the one tool of an upstream, and the watch over the healthy sibling."""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from mcp_gateway.errors import ERROR_META_KEY

from tests.faults.far import GOOD
from tests.servers.raw import RawClient

CALL_EVERY_S = 0.04
LIST_EVERY_S = 0.1
LOOK_WITHIN_S = 10.0
_POLL_S = 0.01

Name = Callable[[str], str]
"""The exposed name of a server's tool."""


@dataclass(frozen=True, slots=True)
class Answer:
    """How a call ended: `code` is None when the right answer came, `message` what a failure said."""

    code: str | None
    took_s: float
    message: str = ""


class Caller:
    """One session, used by one thread."""

    def __init__(self, url: str, name: Name) -> None:
        self._client = RawClient(url)
        self._name = name

    def __enter__(self) -> Self:
        try:
            self._client.__enter__()
        except BaseException:
            self._client.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.__exit__(kind, error, trace)

    def call(self, server: str, ticket: str) -> Answer:
        params = json.dumps({"name": self._name(server), "arguments": {"ticket": ticket}}).encode()
        started_s = time.monotonic()
        answer = self._client.ask("tools/call", params)
        took_s = time.monotonic() - started_s
        if bytes(answer.error):
            error = json.loads(bytes(answer.error))
            return Answer((error.get("data") or {}).get("code", str(error["code"])), took_s, error["message"])
        result = json.loads(bytes(answer.result), parse_int=str)  # a number may have more digits than Python reads
        return _judged(result, ticket, took_s)

    def lists(self, server: str) -> bool:
        """Whether the listing has the server's tool."""
        listed = json.loads(self._client.result("tools/list"))
        return any(tool["name"] == self._name(server) for tool in listed["tools"])


def _judged(result: dict[str, Any], ticket: str, took_s: float) -> Answer:
    text = "".join(part.get("text", "") for part in result["content"])
    if result.get("isError"):
        return Answer(result.get("_meta", {}).get(ERROR_META_KEY, {}).get("code", "isError"), took_s, text)
    return Answer(None if ticket in text else "wrong answer", took_s, text)


def new_ticket() -> str:
    return uuid.uuid4().hex


@dataclass(frozen=True, slots=True)
class Look:
    """One call or listing of the watch, at a moment of the monotonic clock."""

    began_s: float
    took_s: float
    fault: str | None


@dataclass
class Watch:
    """Calls the sibling and lists all tools, again and again, from entering to leaving.

    `first_listing_s` is by itself: it may wait for servers that have yet to start (design, decision 3).
    """

    url: str
    name: Name
    calls: list[Look] = field(default_factory=list)
    listings: list[Look] = field(default_factory=list)
    first_listing_s: float = float("inf")

    def __enter__(self) -> Self:
        self._over = threading.Event()
        self._threads = [
            threading.Thread(target=self._keep, args=(self._call, CALL_EVERY_S, self.calls)),
            threading.Thread(target=self._keep, args=(self._list, LIST_EVERY_S, self.listings)),
        ]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def look_on(self) -> None:
        """Wait for a call and a listing that begin from now on. One that does not end counts as failed."""
        now_s = time.monotonic()
        for looks in (self.calls, self.listings):
            while not (looks and looks[-1].began_s >= now_s):
                if time.monotonic() - now_s > LOOK_WITHIN_S:
                    looks.append(Look(now_s, LOOK_WITHIN_S, "did not end"))
                time.sleep(_POLL_S)

    def _keep(self, look: Callable[[Caller], str | None], every_s: float, looks: list[Look]) -> None:
        with Caller(self.url, self.name) as caller:
            if looks is self.listings:
                self.first_listing_s = _timed(lambda: caller.lists(GOOD))
            while not self._over.wait(every_s):
                began_s = time.monotonic()
                try:
                    fault = look(caller)
                except (AssertionError, OSError, KeyError) as failed:
                    fault = f"{type(failed).__name__}: {failed}"
                looks.append(Look(began_s, time.monotonic() - began_s, fault))

    def _call(self, caller: Caller) -> str | None:
        return caller.call(GOOD, new_ticket()).code

    def _list(self, caller: Caller) -> str | None:
        return None if caller.lists(GOOD) else "the sibling's tool is missing"


def _timed(act: Callable[[], object]) -> float:
    began_s = time.monotonic()
    act()
    return time.monotonic() - began_s


def seen(looks: list[Look], since_s: float) -> tuple[float, list[str]]:
    """Of all looks that were under way after `since_s`: how long the slowest took, 0 without any, and what failed."""
    recent = [look for look in looks if look.began_s + look.took_s >= since_s]
    return max((look.took_s for look in recent), default=0.0), [look.fault for look in recent if look.fault is not None]
