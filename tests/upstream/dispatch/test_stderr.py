"""What a child says on its standard error."""

from __future__ import annotations

import logging

import pytest
from mcp_gateway.upstream.dispatch.stderr import LINE_BYTES, LINES_PER_S, TAIL_BYTES, StderrTail

LOGGER = "mcp_gateway.upstream.stderr"


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == LOGGER]


def test_only_the_tail_is_kept() -> None:
    stderr = StderrTail("x")
    for _ in range(10):
        stderr.feed(b"a" * 3000)
    stderr.feed(b"the end\xff")
    assert stderr.text == ""
    stderr.feed(b"\n" + b"b" * (TAIL_BYTES - 1))
    assert stderr.text == "b" * (TAIL_BYTES - 1)


def test_a_line_that_has_lost_its_beginning_is_left_out() -> None:
    stderr = StderrTail("x")
    stderr.feed(b"a" * TAIL_BYTES)
    stderr.feed(b"\nthe end\xff")
    assert stderr.text == "the end\ufffd"


def test_each_line_is_logged_once_it_is_whole(caplog: pytest.LogCaptureFixture) -> None:
    stderr = StderrTail("x")
    with caplog.at_level(logging.DEBUG, LOGGER):
        stderr.feed(b"one\n\nt")
        stderr.feed(b"wo\r\nthree")
        assert lines(caplog) == ["upstream.stderr name=x one", "upstream.stderr name=x two"]
        stderr.close()
    assert lines(caplog)[-1] == "upstream.stderr name=x three"


def test_a_long_line_is_cut_and_terminal_escapes_are_spelled_out(caplog: pytest.LogCaptureFixture) -> None:
    stderr = StderrTail("x")
    with caplog.at_level(logging.DEBUG, LOGGER):
        stderr.feed(b"\x1b[31m\x00\xc2\x9b\n" + b"y" * 10)
        for _ in range(10):
            stderr.feed(b"y" * 1000)
        stderr.feed(b"\n")
    first, second = lines(caplog)
    assert first == "upstream.stderr name=x \\x1b[31m\\x00\\x9b"
    assert second.count("y") == LINE_BYTES


def test_lines_above_the_rate_are_dropped_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    stderr = StderrTail("x")
    with caplog.at_level(logging.DEBUG, LOGGER):
        stderr.feed(b"noise\n" * 5 * LINES_PER_S)
    assert LINES_PER_S <= len(lines(caplog)) < 5 * LINES_PER_S
    assert stderr.dropped_lines == 5 * LINES_PER_S - len(lines(caplog))


def test_nothing_is_logged_above_debug(caplog: pytest.LogCaptureFixture) -> None:
    stderr = StderrTail("x")
    with caplog.at_level(logging.INFO, LOGGER):
        stderr.feed(b"a secret\n")
        stderr.close()
    assert lines(caplog) == []
