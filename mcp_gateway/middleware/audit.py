"""Tells of every call: who made it, what it is about, how it went and how long it took.

A call goes through unchanged; a `CallStarted` and, whatever its end, a `CallEnded` are published. Of the arguments
there is a digest, unless the configuration wants more or less; the texts of strangers are cut, and cleaned of secrets.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import Any, Final

import msgspec

from mcp_gateway.cache.key import canonical
from mcp_gateway.call import Call
from mcp_gateway.catalog import Kind
from mcp_gateway.errors import GatewayError, Overloaded, RateLimited, RpcError
from mcp_gateway.events import CANCELLED, OK, TOOL_ERROR, UPSTREAM_ERROR, CallEnded, CallStarted, Events
from mcp_gateway.middleware import Next
from mcp_gateway.observe.text import visible, visible_json
from mcp_gateway.revisions import CALLS
from mcp_gateway.wire import Malformed, Raw, fields, loads

MAX_TEXT: Final = 200
"""Characters kept of a text that is not ours (our choice)."""

MAX_ARGUMENTS_BYTES: Final = 4096
"""Longer arguments leave a digest in any case: 10,000 calls may wait for the disk (our choice)."""

_MAYBE_ERROR = re.compile(rb'"isError"\s*:\s*true')


class Arguments(StrEnum):
    """What is told of a call's arguments: nothing, a digest, or themselves without secrets."""

    OFF = "off"
    REDACTED = "redacted"
    FULL = "full"


@dataclass(frozen=True, slots=True)
class AuditRules:
    """`policy` names the configuration in force."""

    policy: str
    arguments: Arguments = Arguments.REDACTED


class Audit:
    """Middleware, and `refused` for calls that do not get as far."""

    def __init__(self, events: Events, clean: Callable[[str], str], rules: AuditRules) -> None:
        """`clean` takes secrets out of a text."""
        self._events = events
        self._clean = clean
        self._rules = rules

    def configure(self, rules: AuditRules) -> None:
        self._rules = rules

    async def __call__(self, call: Call, next: Next) -> Raw:
        started, began_s = self._started(call), time.perf_counter()
        self._events.publish(started)
        outcome, turned_away = CANCELLED, False
        try:
            raw = await next(call)
            outcome = TOOL_ERROR if call.method == "tools/call" and is_error(raw) else OK
            return raw
        except GatewayError as failure:
            outcome, turned_away = failure.code, isinstance(failure, RateLimited | Overloaded)
            raise
        except RpcError:
            outcome = UPSTREAM_ERROR
            raise
        except Exception:  # boundary: any fault of ours; the door answers for it
            outcome = "internal_error"
            raise
        finally:
            self._events.publish(_ended(started, outcome, time.perf_counter() - began_s, call, refused=turned_away))

    def refused(self, call: Call, failure: GatewayError) -> None:
        """A call that led nowhere: an unknown name, or one that is not for this caller. It has no start."""
        self._events.publish(_ended(self._started(call), failure.code, 0.0, call, refused=True))

    def _started(self, call: Call) -> CallStarted:
        info = call.client.info
        return CallStarted(
            at=time.time(),
            trace=call.trace.id,
            span=call.trace.span,
            principal=call.principal.id,
            client=self._text(info.get("name")) if isinstance(info, Mapping) else None,
            door=call.client.door,
            method=call.method if call.method in CALLS else self._text(call.method) or "",
            server=call.route.server if call.route else None,
            tool=self._subject(call),
            arguments=self._told(call.params.get("arguments")),
            policy=self._rules.policy,
        )

    def _told(self, arguments: Any) -> str | None:
        if self._rules.arguments is Arguments.OFF:
            return None
        text = given(arguments) if self._rules.arguments is Arguments.FULL else None
        return digest(arguments) if text is None else visible_json(self._clean(text))

    def _subject(self, call: Call) -> str | None:
        """The upstream's own name of a tool or prompt, a resource's URI; for what led nowhere, what was asked for."""
        route = call.route
        if route is None:
            name = call.params.get("name")
            return self._text(name) if name is not None else self._uri(call.params.get("uri"))
        return route.name if route.kind in (Kind.TOOL, Kind.PROMPT) else self._uri(route.name)

    def _uri(self, value: Any) -> str | None:
        """Without user, query and fragment, where tokens like to be."""
        text = _plain(value)
        return None if text is None else self._text(re.sub(r"//[^/?#]*@", "//", re.split(r"[?#]", text, maxsplit=1)[0]))

    def _text(self, value: Any) -> str | None:
        """A stranger's text, fit to be kept; None when it is no text."""
        text = _plain(value)
        return None if text is None else visible(self._clean(text)[:MAX_TEXT])


def _ended(started: CallStarted, outcome: str, duration_s: float, call: Call, *, refused: bool) -> CallEnded:
    return CallEnded(
        at=started.at,
        duration_s=duration_s,
        trace=started.trace,
        span=started.span,
        principal=started.principal,
        client=started.client,
        door=started.door,
        method=started.method,
        server=started.server,
        tool=started.tool,
        outcome=outcome,
        cached=call.cached,
        arguments=started.arguments,
        policy=started.policy,
        refused=refused,
        parent=call.trace.parent,
        sampled=call.trace.is_sampled,
    )


def _plain(value: Any) -> str | None:
    """A param that is a text."""
    try:
        plain = loads(value) if isinstance(value, Raw) else value
    except Malformed:
        return None
    return plain if isinstance(plain, str) else None


def digest(arguments: Any) -> str | None:
    """`sha256:` and 64 digits of the arguments in canonical form; None where there are none."""
    if arguments is None:
        return None
    try:
        return "sha256:" + sha256(canonical(arguments)).hexdigest()
    except (msgspec.MsgspecError, ValueError, TypeError, RecursionError):
        return None


def given(arguments: Any) -> str | None:
    """The arguments as JSON with sorted members; None where there are none, or too many to be kept."""
    if arguments is None:
        return None
    try:
        text = bytes(canonical(arguments))
        return text.decode() if len(text) <= MAX_ARGUMENTS_BYTES else None
    except (msgspec.MsgspecError, ValueError, TypeError, RecursionError):
        return None


def is_error(raw: Raw) -> bool:
    """Whether a result says `isError`; only one that may is decoded."""
    if _MAYBE_ERROR.search(raw) is None:
        return False
    try:
        return bytes(fields(raw).get("isError", b"")) == b"true"
    except Malformed:
        return False
