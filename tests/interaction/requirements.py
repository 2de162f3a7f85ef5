"""What the gateway promises to whoever comes in through a door, each with where the promise comes from.

A test says which of these it shows with `@shows(...)`; `test_requirements.py` checks that
nothing is promised without a test and nothing is tested without a promise.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

Test = TypeVar("Test", bound=Callable[..., object])

SPECIFICATION = "https://modelcontextprotocol.io/specification"

REQUIREMENTS: Final = {
    # name: (what is promised, where the promise comes from)
    "handshake": ("both eras come in through the same address", f"{SPECIFICATION}/2026-07-28/basic/versioning"),
    "handshake-unknown-version": (
        "an initialize of an unknown version is answered with our newest legacy one",
        f"{SPECIFICATION}/2025-11-25/basic/lifecycle",
    ),
    "handshake-first": ("nothing is served before initialize", f"{SPECIFICATION}/2025-11-25/basic/lifecycle"),
    "discover-on-sse": ("the SSE door refuses discover plainly, so that clients fall back", "ours"),
    "listings": ("every listing holds what the upstream offers, under names that can be called", "ours"),
    "listing-one-page": ("a cursor is refused: there is one page", f"{SPECIFICATION}/2025-11-25/server/utilities"),
    "listing-saved": ("a complete listing comes at once from the saved catalog", "ours: design, numbers to hold"),
    "listing-first-wait": ("only the first listing waits, at most 3 s", "ours: design, decision 3"),
    "call": ("a call reaches the upstream and its result comes back", "ours"),
    "call-exact": ("results keep unknown members, nulls and the spelling of numbers", "ours: the one path"),
    "call-failing-tool": ("a tool's own failure is passed on", f"{SPECIFICATION}/2025-11-25/server/tools"),
    "prompts": ("prompts are served", f"{SPECIFICATION}/2025-11-25/server/prompts"),
    "resources": ("resources and those of templates are read", f"{SPECIFICATION}/2025-11-25/server/resources"),
    "resource-missing": ("a missing resource is -32002, in 2026-07-28 -32602", f"{SPECIFICATION}/2026-07-28/basic"),
    "completion": (
        "arguments are completed by the upstream",
        f"{SPECIFICATION}/2025-11-25/server/utilities",
    ),
    "client-tells": (
        "changed roots and a vendor's notifications reach legacy upstreams",
        f"{SPECIFICATION}/2025-11-25/client/roots",
    ),
    "vendor-methods": ("a vendor's method reaches whoever serves it", "ours"),
    "unknown-method": ("a method nobody serves is -32601", "JSON-RPC 2.0, section 5.1"),
    "headers-agree": (
        "headers that differ from the body are refused, and no caller's line break reaches an upstream's headers",
        f"{SPECIFICATION}/2026-07-28/basic/transports/streamable-http, R-HDR-1",
    ),
    "paths": ("a path that a caller names leads nowhere outside", "issue 5: R-PATH-1"),
    "ping": ("ping is answered by the gateway itself", f"{SPECIFICATION}/2025-11-25/basic/utilities/ping"),
    "unknown-name": ("an unknown tool is -32602 and names the nearest", "ours: design, decision 8"),
    "failure-tool": ("a call that fails on the way is isError with its stable code", "ours: design, decision 8"),
    "failure-other": ("other methods fail with -32603 and data.code", "ours: design, decision 8"),
    "progress": (
        "progress arrives in order before the answer, under the caller's token",
        f"{SPECIFICATION}/2025-11-25/basic/utilities/progress",
    ),
    "progress-unasked": ("no progress without a token", f"{SPECIFICATION}/2025-11-25/basic/utilities/progress"),
    "heartbeat": ("a silent call with a token shows signs of life that increase", "ours: hosts facts, 2.6"),
    "logging": ("log messages reach the session that asked, from its level on", f"{SPECIFICATION}/2025-11-25/server"),
    "logging-apart": ("each session has a level of its own", "ours"),
    "metrics": ("figures for Prometheus, behind the guard, with names of ours only", "ours: security facts, R-CAP-1"),
    "alerts": ("a webhook is told once when something begins and once when it ends", "ours: issue 5"),
    "record": (
        "every call of a name is recorded, with no more of its arguments than the file asks for",
        "ours: security facts, A7",
    ),
    "trace": (
        "one trace from the door to the upstream; no member is added to params that hold none",
        "https://www.w3.org/TR/trace-context/; SEP-414",
    ),
    "pinned-commands": (
        "a command that does not say which version it fetches is not run where the file forbids it",
        "security facts, R-SUP-1",
    ),
    "spans": (
        "a call is a span at the collector, between the caller's and the upstream's; a collector holds no call up",
        "ours: issue 5; https://www.w3.org/TR/trace-context/, section 3.4",
    ),
    "same-answers": ("the same calls are answered alike at every door", "ours: the one path"),
    "authorization": (
        "what a key may not use is not listed, found or called at any door",
        "issue 5: R-AUTH-1",
    ),
    "cancel": ("a cancelled call is cancelled upstream, and no other", f"{SPECIFICATION}/2025-11-25/basic/utilities"),
    "websocket-progress": (
        "progress comes over a WebSocket under the id of its call, before the answer",
        "ours: design",
    ),
    "websocket-ask": (
        "a question over a WebSocket is answered, and what is done for it can be followed",
        "ours: design",
    ),
    "cancel-by-leaving": (
        "closing the response cancels a 2026-07-28 call",
        f"{SPECIFICATION}/2026-07-28/basic/patterns/cancellation",
    ),
    "leaving-is-no-cancel": (
        "a legacy client that loses its connection has not cancelled",
        f"{SPECIFICATION}/2025-11-25/basic/transports",
    ),
    "questions": ("sampling, elicitation and roots reach the caller", f"{SPECIFICATION}/2025-11-25/client"),
    "questions-driven": ("a 2026-07-28 upstream's questions reach a legacy caller", "ours: protocol facts, 4.2"),
    "questions-parked": (
        "a legacy upstream's questions reach a 2026-07-28 client as input_required, and its tool runs once",
        f"{SPECIFICATION}/2026-07-28/basic/patterns/mrtr; issue 6",
    ),
    "tasks-driven": (
        "tools that run only as tasks (2025-11-25) are taken to their end for clients that know no tasks",
        f"{SPECIFICATION}/2025-11-25/basic/utilities/tasks; issue 6",
    ),
    "questions-apart": ("a question that could be another client's is declined", "ours: design, decision 6"),
    "list-changed": ("a change of the merged view is announced once to everybody", "ours: protocol facts, section 3"),
    "list-unchanged": ("nothing is announced when the merged view is the same", "ours"),
    "updates": ("updates of a resource reach its subscribers only", f"{SPECIFICATION}/2025-11-25/server/resources"),
    "search-mode": (
        "search mode lists built-ins, pinned tools and four that lead to the rest",
        "ours: design, decision 7",
    ),
    "search-mode-when": ("the mode is chosen by address, flag, profile, a session's name and size", "ours: decision 7"),
    "search-mode-calls": ("a call through call_tool or read_tool is as one made by name", "ours: design, decision 7"),
    "search-meaning": ("tools are found by meaning where an embedding model is configured", "issue 4"),
    "search-meaning-down": ("while that model is down words do, and it is used again once it is back", "issue 4"),
    "search-meaning-folder": ("a folder with a model does as well, without a service, a key or a network", "issue 4"),
    "search-meaning-kept": ("vectors are kept from one start to the next", "issue 4"),
    "profiles": ("a profile is a part of the whole at an address of its own", "ours: design, doors"),
    "profiles-hide": ("what a profile leaves out looks as if it were not there, whatever is asked", "ours"),
    "profiles-sessions": ("a session belongs to the profile it was opened under", "ours"),
    "pins": ("a changed tool definition reaches nobody, whatever the door", "security facts: R-PIN-1"),
    "pins-approve": ("an operator sees what changed, approves it, and it is offered", "security facts: R-PIN-1"),
    "pins-strict": ("with trust: strict nothing is offered before it is approved", "security facts: R-PIN-1"),
    "pins-off": ("with trust: off definitions change freely", "security facts: R-PIN-1"),
    "pins-broken": ("a file of pins that cannot be read trusts nothing", "security facts: R-PIN-1"),
    "caps": ("what a server says is cleaned and bounded, and what was cut is told", "security facts: R-POIS-1"),
    "upstream-credentials": ("nothing of a client's headers goes to an upstream", "security facts: R-CRED-1"),
    "upstream-login": (
        "an upstream whose login is refused is parked, and calls say what to do",
        "https://modelcontextprotocol.io/specification/2025-11-25/basic/authorization",
    ),
    "own-login": (
        "a caller without a login of its own is asked to open a page, or told what to run",
        f"{SPECIFICATION}/2025-11-25/client/elicitation, {SPECIFICATION}/2026-07-28/basic/patterns/mrtr",
    ),
    "own-connection": (
        "callers with `isolation: user` share no connection, child, session, kept answer or token",
        "ours: design, decision 6",
    ),
    "same-ids": (
        "requests of one session with equal ids get their own answers",
        "https://github.com/modelcontextprotocol/python-sdk/issues/3060",
    ),
}


def shows(*names: str) -> Callable[[Test], Test]:
    """The test shows that these promises hold."""

    def mark(test: Test) -> Test:
        setattr(test, "shows", names)  # noqa: B010 - an attribute the type does not have
        return test

    return mark
