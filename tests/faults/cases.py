"""The table: every fault of an upstream, and what a caller is to see of it.

Source: the fault plan of the project (issue 8). A row is one mode of one of the two
upstreams; `bench` breaks, calls, heals and measures.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from tests.faults.limits import Limits
from tests.faults.speech import HEALTHY

CALL_TIMEOUT_S = 1.5
FLOOD_TIMEOUT_S = 10.0
STARTUP_TIMEOUT_S = 3.0
"""Deadlines that the benches configure; what is promised does not depend on how long they are."""


class Ends(Enum):
    """When a call ends that meets the fault."""

    AT_ONCE = "at once"
    """The fault shows by itself: a crash, an end, bytes that are not the protocol."""
    FLOOD = "after the flood"
    """The same, after up to four times `limits.max_result` have come in."""
    DEADLINE = "at the deadline"
    """Nothing shows but silence; or there is no connection, and the call waits for an attempt that is near."""

    def within_s(self, limits: Limits) -> float:
        """The longest it may take."""
        if self is Ends.DEADLINE:
            return CALL_TIMEOUT_S + limits.past_deadline_s
        return limits.flood_s if self is Ends.FLOOD else limits.at_once_s


@dataclass(frozen=True, slots=True)
class Case:
    """One fault. `code` is the stable code that the caller is told, None where the right answer arrives all the same.

    `from_start` faults are in force when the gateway starts, others begin on a working connection.
    """

    transport: str
    group: str
    mode: str
    what: str
    code: str | None = None
    ends: Ends = Ends.DEADLINE
    from_start: bool = False

    @property
    def name(self) -> str:
        """Also the server's name in the configuration: at most 20 characters, so that it is exposed as it is."""
        return f"{self.transport}-{self.mode}".replace("_", "-")

    @property
    def timeout_s(self) -> float:
        """The deadline of a call; what comes in masses takes its time on a loaded machine."""
        return FLOOD_TIMEOUT_S if self.ends is Ends.FLOOD else CALL_TIMEOUT_S


UNAVAILABLE, TIMEOUT, DISCONNECTED = "upstream_unavailable", "upstream_timeout", "upstream_disconnected"
PROTOCOL, TOO_LARGE = "upstream_protocol_error", "upstream_message_too_large"
START_FAILED, AUTH, BUSY = "upstream_start_failed", "upstream_auth", "upstream_busy"

_Rows = dict[str, list[tuple[str, str, str | None]]]
"""Transport -> mode, what it is in words, and the code that the caller is told."""

_STARTS: _Rows = {
    "stdio": [
        ("exits", "exits at once with 0", START_FAILED),
        ("crashes", "crashes at start, secrets in its last words", START_FAILED),
        ("silent_opening", "never answers initialize", UNAVAILABLE),
        ("starts_late", "answers initialize late", None),
        ("list_hangs", "tools/list hangs", UNAVAILABLE),
        ("list_fails", "tools/list fails", UNAVAILABLE),
        ("banner", "prints lines that are not JSON first", None),
        ("stderr_first", "floods stderr before it answers", None),
    ],
    "http": [
        ("refused", "port refused", UNAVAILABLE),
        ("silent_opening", "never answers initialize", UNAVAILABLE),
        ("list_hangs", "tools/list hangs", UNAVAILABLE),
        ("list_fails", "tools/list fails", UNAVAILABLE),
        ("odd_session", "odd bytes in the session id", PROTOCOL),
    ],
}
_DIES: _Rows = {
    "stdio": [
        ("dies", "dies on the call", DISCONNECTED),
        ("last_answer", "answers, then exits", None),
        ("closes_output", "closes stdout, but lives", DISCONNECTED),
        ("grandchild", "dies; a grandchild keeps its pipes open", DISCONNECTED),
    ],
    "http": [
        ("reset", "TCP reset", DISCONNECTED),
        ("closes", "closes the connection without an answer", DISCONNECTED),
        ("short_body", "body shorter than Content-Length", DISCONNECTED),
        ("cut_stream", "event stream cut before the answer", DISCONNECTED),
        ("broken_chunks", "broken chunked encoding", DISCONNECTED),
    ],
}
_HANGS: _Rows = {
    "stdio": [
        ("silent", "never answers", TIMEOUT),
        ("stops_reading", "stops reading", TIMEOUT),
        ("stops_itself", "stopped (SIGSTOP)", TIMEOUT),
        ("drips", "answers byte by byte", TIMEOUT),
        ("only_garbage", "garbage lines in place of the answer", TIMEOUT),
        ("other_id", "answers another request", TIMEOUT),
    ],
    "http": [
        ("silent", "accepts and never answers", TIMEOUT),
        ("slow_headers", "slow headers", TIMEOUT),
        ("slow_body", "slow body", TIMEOUT),
        ("only_comments", "event stream of comments only", TIMEOUT),
    ],
}
_GARBAGE_BOTH: list[tuple[str, str, str | None]] = [
    ("half", "half an answer", PROTOCOL),
    ("not_rpc", "JSON that is not JSON-RPC", PROTOCOL),
    ("invalid_utf8", "invalid UTF-8", PROTOCOL),
    ("in_an_array", "answer in an array", PROTOCOL),
    ("error_as_text", "`error` is not an object", PROTOCOL),
    ("both_members", "result and error together", PROTOCOL),
    ("not_a_number", "NaN and Infinity", PROTOCOL),
    ("lone_surrogate", "lone surrogate", PROTOCOL),
    ("deep", "5,000 levels deep", PROTOCOL),
    ("huge_number", "number of 5,000 digits", None),
    ("escapes", "terminal escapes and NUL in the text", None),
    ("string_id", "id as a string", None),
]
_GARBAGE: _Rows = {
    "stdio": [
        *_GARBAGE_BOTH,
        ("garbage_first", "garbage lines before the answer", None),
        ("answers_twice", "one id answered twice, differently", None),
    ],
    "http": [
        *_GARBAGE_BOTH,
        ("other_id", "answers another request", PROTOCOL),
        ("wrong_type", "wrong content type", PROTOCOL),
        ("empty", "empty 200", PROTOCOL),
        ("odd_events", "events that are not JSON", PROTOCOL),
    ],
}
_FLOODS: _Rows = {
    "stdio": [
        ("huge", "line of 17 MiB", TOO_LARGE),
        ("endless_line", "endless line", TOO_LARGE),
        ("stderr_flood", "10 MB on stderr", None),
        ("change_storm", "20,000 list_changed", None),
        ("log_flood", "20,000 log messages", None),
        ("question_flood", "5,000 requests of its own", None),
    ],
    "http": [
        ("huge", "body of 17 MiB", TOO_LARGE),
        ("huge_event", "event of 17 MiB", TOO_LARGE),
        ("endless_event", "endless event", TOO_LARGE),
        ("event_storm", "20,000 notifications on one stream", None),
        ("gzip_bomb", "gzip bomb of 256 MiB", PROTOCOL),
        ("huge_header", "header of 1 MiB", PROTOCOL),
    ],
}
_CATALOGUE: _Rows = {
    "stdio": [
        ("broken_tools", "broken tool definitions among good ones", None),
        ("many_tools", "10,000 tools", None),
        ("others_names", "names of siblings and built-ins", None),
        ("endless_cursor", "nextCursor for ever", None),
    ],
    "http": [
        ("broken_tools", "broken tool definitions among good ones", None),
        ("many_tools", "10,000 tools", None),
        ("others_names", "names of siblings and built-ins", None),
    ],
}
_STATUS: _Rows = {
    "http": [
        ("error_500", "500", UNAVAILABLE),
        ("page_502", "502 with a page", UNAVAILABLE),
        ("later_503", "503 with Retry-After", UNAVAILABLE),
        ("busy_429", "429", BUSY),
        ("refused_401", "401 in mid-session", AUTH),
        ("refused_403", "403 in mid-session", AUTH),
        ("redirect_away", "redirect to another host", PROTOCOL),
        ("redirect_loop", "redirect to itself", PROTOCOL),
    ],
}
_FORGETS: _Rows = {
    "http": [
        ("forgetful", "404 until a new initialize", None),
        ("forgotten_404", "404 for every session", DISCONNECTED),
    ]
}
_DEAF: _Rows = {"stdio": [("deaf", "deaf to SIGTERM and to the end of its input", DISCONNECTED)]}


def of(transport: str) -> list[Case]:
    """The cases of one transport."""
    return [case for case in CASES if case.transport == transport]


def _group(group: str, rows: _Rows, ends: Ends = Ends.DEADLINE, *, from_start: bool = False) -> Iterator[Case]:
    for transport, cases in rows.items():
        for mode, what, code in cases:
            yield Case(transport, group, mode, what, code, ends, from_start)


CASES: tuple[Case, ...] = (
    Case("stdio", "control", HEALTHY, "nothing wrong", ends=Ends.AT_ONCE),
    Case("http", "control", HEALTHY, "nothing wrong", ends=Ends.AT_ONCE),
    *_group("never starts", _STARTS, from_start=True),
    *_group("dies", _DIES, Ends.AT_ONCE),
    *_group("deaf", _DEAF, Ends.AT_ONCE, from_start=True),
    *_group("hangs", _HANGS),
    *_group("garbage", _GARBAGE, Ends.AT_ONCE),
    *_group("floods", _FLOODS, Ends.FLOOD),
    *_group("catalogue", _CATALOGUE, from_start=True),
    *_group("status", _STATUS, Ends.AT_ONCE),
    *_group("status", _FORGETS),
)
