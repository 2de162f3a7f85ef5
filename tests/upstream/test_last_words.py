"""What a child said last, fit for an operator's eyes, and kept from everybody else's."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from mcp_gateway.errors import GatewayError
from mcp_gateway.upstream.last_words import MAX_CHARS, last_words, with_last_words
from mcp_gateway.upstream.lifecycle import State

from tests.upstream.keeping import PATIENT, Moody, defined, kept, stdio


def plain(text: str) -> str:
    return text


def without_token(text: str) -> str:
    return text.replace("s3cret-token", "***")


@pytest.mark.parametrize(
    ("tail", "words"),
    [
        ("", ""),
        (" \n\t\r\n", ""),
        ("first\nlast", "last"),
        ("Traceback:\n  at x\nError: no\n\n", "Error: no"),
        ("\x1b[31mred\x1b[0m\n\x1b[0m\n", "red"),
        ("10 %\r20 %\r", "20 %"),
        ("a\x00b\u202ec\td\u0378\n", "abc d"),
        ("é" * 300, "é" * MAX_CHARS),
    ],
)
def test_the_last_line_that_shows_anything_is_kept(tail: str, words: str) -> None:
    assert last_words(tail, plain) == words


@pytest.mark.parametrize("secret", ["s3cret-token", "s3cret\x00-token", "s3cret\u200b-\u0378token"])
def test_a_secret_is_taken_out_however_it_is_written(secret: str) -> None:
    assert last_words(f"refused {secret}\n", without_token) == "refused ***"


def test_a_secret_is_taken_out_before_the_line_is_cut() -> None:
    padding = "x" * (MAX_CHARS - 6)
    assert last_words(f"{padding}s3cret-token", without_token) == f"{padding}***"


def test_a_silent_end_is_told_without_last_words() -> None:
    assert with_last_words("it ended", "\n", plain) == "it ended"


async def test_the_reason_of_a_child_that_ends_at_its_start_has_its_last_words() -> None:
    program = stdio([sys.executable, "-c", "import nosuchmodule"])
    async with kept(defined(program, restart=PATIENT)) as up:
        await up.state(State.PARKED)
        ended = "upstream 'up' exited with code 1 before it was ready"
        said = "its last words: ModuleNotFoundError: No module named 'nosuchmodule'"
        assert up.agent.reason == f"{ended}; {said}"


async def test_the_reason_of_a_child_that_is_not_ready_in_time_has_its_last_words() -> None:
    script = "import sys, time; print('please log in', file=sys.stderr); time.sleep(600)"
    program = stdio([sys.executable, "-c", script])
    async with kept(defined(program, restart=PATIENT, startup_timeout_s=3.0)) as up:
        await up.state(State.PARKED)
        assert up.agent.reason == "upstream 'up' was not ready within 3 s; its last words: please log in"


async def test_the_reason_of_a_working_child_that_ends_has_its_last_words_without_secrets(tmp_path: Path) -> None:
    far = Moody(tmp_path, "dies")
    async with kept(far.definition(restart=PATIENT, redact=without_token)) as up:
        await up.ready()
        with pytest.raises(GatewayError):
            await up.call()
        await up.state(State.PARKED)
        assert up.agent.reason == "upstream 'up' exited with code 3; its last words: token *** expired"


async def test_a_caller_is_not_told_the_last_words(tmp_path: Path) -> None:
    far = Moody(tmp_path, "dies")
    async with kept(far.definition(restart=PATIENT)) as up:
        await up.ready()
        with pytest.raises(GatewayError) as in_flight:
            await up.call()
        await up.state(State.PARKED)
        with pytest.raises(GatewayError) as afterwards:
            await up.call()
        assert "last words" in (up.agent.reason or "")
    for failed in (in_flight, afterwards):
        assert "exited with code" in failed.value.message
        assert "last words" not in f"{failed.value.message} {failed.value}"
