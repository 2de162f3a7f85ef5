"""What an address asks for reaches the door behind it, or is refused before."""

from __future__ import annotations

from typing import Any

import pytest
from mcp_gateway.call import Mode, Selection
from mcp_gateway.downstream.selection import Selecting, selection_of
from starlette.types import Message, Receive, Scope, Send


class Work:
    """One profile, one session of it, and a default."""

    selection = Selection(mode=Mode.ALL)

    def has_profile(self, name: str | None) -> bool:
        return name in (None, "work")

    def belongs(self, session: str, profile: str | None) -> bool:
        return session != "of-work" or profile == "work"


async def asked(profile: str | None, query: bytes = b"", session: bytes | None = None) -> Any:
    """The selection that the door was reached with, or the status of the refusal."""
    seen: list[Selection | None] = []
    sent: list[Message] = []

    async def door(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(selection_of(scope))

    async def nothing() -> Message:
        raise AssertionError("nobody reads the body")

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/mcp",
        "path_params": {} if profile is None else {"profile": profile},
        "query_string": query,
        "headers": [] if session is None else [(b"mcp-session-id", session)],
    }
    await Selecting(door, Work())(scope, nothing, send)
    return seen[0] if seen else sent[0]["status"]


@pytest.mark.parametrize(
    ("profile", "query", "session", "expected"),
    [
        (None, b"", None, Selection(None, Mode.ALL)),
        ("work", b"", b"of-work", Selection("work", Mode.ALL)),
        ("work", b"mode=search", None, Selection("work", Mode.SEARCH)),
        (None, b"mode=auto&other=1", b"of-nobody", Selection(None, Mode.AUTO)),
        ("play", b"", None, 404),
        (None, b"mode=", None, 400),
        (None, b"mode=All", None, 400),
        (None, b"", b"of-work", 404),
    ],
)
async def test_an_address_is_a_selection_or_refused(
    profile: str | None, query: bytes, session: bytes | None, expected: Any
) -> None:
    assert await asked(profile, query, session) == expected


def test_other_doors_select_nothing() -> None:
    assert selection_of({"type": "http"}) is None
