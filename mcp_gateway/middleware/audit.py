"""Tells of every call that has ended: who made it, what it was about, how it went and how long it took.

A call goes through unchanged; a `CallEnded` is published, whatever its end. Of the arguments
there is a digest, never the arguments; the texts of strangers are cut, and cleaned of secrets.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from hashlib import sha256
from typing import Any, Final

import msgspec

from mcp_gateway.cache.key import canonical
from mcp_gateway.call import Call
from mcp_gateway.catalog import Kind
from mcp_gateway.errors import GatewayError, RpcError
from mcp_gateway.events import CANCELLED, OK, TOOL_ERROR, UPSTREAM_ERROR, CallEnded, Events
from mcp_gateway.middleware import Next
from mcp_gateway.observe.text import visible
from mcp_gateway.revisions import CALLS
from mcp_gateway.wire import Malformed, Raw, fields

MAX_TEXT: Final = 200
"""Characters kept of a text that is not ours (our choice)."""

_MAYBE_ERROR = re.compile(rb'"isError"\s*:\s*true')


class Audit:
    """Middleware, and `refused` for calls that do not get as far."""

    def __init__(self, events: Events, clean: Callable[[str], str], policy: Callable[[], str]) -> None:
        """`policy` names the configuration in force, `clean` takes secrets out of a text."""
        self._events = events
        self._clean = clean
        self._policy = policy
        self.digests = True
        """Whether the arguments leave a digest."""

    async def __call__(self, call: Call, next: Next) -> Raw:
        at, began_s, arguments = time.time(), time.perf_counter(), self._digest(call)
        outcome = CANCELLED
        try:
            raw = await next(call)
            outcome = TOOL_ERROR if call.method == "tools/call" and is_error(raw) else OK
            return raw
        except GatewayError as failure:
            outcome = failure.code
            raise
        except RpcError:
            outcome = UPSTREAM_ERROR
            raise
        except Exception:  # boundary: any fault of ours; the door answers for it
            outcome = "internal_error"
            raise
        finally:
            self._tell(call, outcome, at, time.perf_counter() - began_s, arguments)

    def refused(self, call: Call, failure: GatewayError) -> None:
        """A call that led nowhere: an unknown name, or one that is not for this caller."""
        self._tell(call, failure.code, time.time(), 0.0, self._digest(call))

    def _digest(self, call: Call) -> str | None:
        return digest(call.params.get("arguments")) if self.digests else None

    def _tell(self, call: Call, outcome: str, at: float, duration_s: float, arguments: str | None) -> None:
        route = call.route
        info = call.client.info
        self._events.publish(
            CallEnded(
                at=at,
                duration_s=duration_s,
                trace=call.trace.id,
                span=call.trace.span,
                principal=call.principal.id,
                client=self._text(info.get("name")) if info else None,
                door=call.client.door,
                method=call.method if call.method in CALLS else self._text(call.method) or "",
                server=route.server if route else None,
                tool=self._subject(call),
                outcome=outcome,
                cached=call.cached,
                arguments=arguments,
                policy=self._policy(),
            )
        )

    def _subject(self, call: Call) -> str | None:
        """The upstream's own name of a tool or prompt, a resource's URI; for what led nowhere, what was asked for."""
        route = call.route
        if route is None:
            name = call.params.get("name")
            return self._text(name) if name is not None else self._uri(call.params.get("uri"))
        return route.name if route.kind in (Kind.TOOL, Kind.PROMPT) else self._uri(route.name)

    def _uri(self, value: Any) -> str | None:
        """Without user, query and fragment, where tokens like to be."""
        text = self._text(value)
        return None if text is None else re.sub(r"//[^/?#]*@", "//", re.split(r"[?#]", text, maxsplit=1)[0])

    def _text(self, value: Any) -> str | None:
        """A stranger's text, fit to be kept; None when it is no text."""
        if isinstance(value, Raw):
            try:
                value = msgspec.json.decode(value)
            except msgspec.DecodeError:
                return None
        if not isinstance(value, str):
            return None
        return visible(self._clean(value)[:MAX_TEXT])


def digest(arguments: Any) -> str | None:
    """`sha256:` and 64 digits of the arguments in canonical form; None where there are none."""
    if arguments is None:
        return None
    try:
        return "sha256:" + sha256(canonical(arguments)).hexdigest()
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
