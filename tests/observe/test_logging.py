"""The log as operators and their programs read it."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
from collections.abc import Generator

import pytest
from mcp_gateway.observe.logging import NOISY, configure_logging
from mcp_gateway.observe.redaction import HIDDEN, Redactor
from mcp_gateway.observe.trace import Trace, at_work

SECRET = "token-of-the-test"


@pytest.fixture
def redactor() -> Generator[Redactor, None, None]:
    """A redactor that knows SECRET; the logging of the test process is put back afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    levels = {name: logging.getLogger(name).level for name in NOISY}
    known = Redactor()
    known.know([SECRET])
    yield known
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)


def logged(redactor: Redactor, format: str, level: str = "info") -> tuple[logging.Logger, io.StringIO]:
    """A logger whose lines end in the returned text."""
    configure_logging(level, format, redactor)
    text = io.StringIO()
    handler = logging.getLogger().handlers[0]
    assert isinstance(handler, logging.StreamHandler)
    handler.setStream(text)
    return logging.getLogger("mcp_gateway.test"), text


def fail() -> None:
    raise ValueError(f"refused {SECRET}\nsecond line \x1b[31m")


def test_text_is_one_line_of_facts(redactor: Redactor) -> None:
    logger, text = logged(redactor, "text")
    logger.info("upstream.ready name=%s", "box")

    assert text.getvalue().partition(" ")[2] == "INFO    mcp_gateway.test upstream.ready name=box\n"


def test_json_is_one_object_a_line(redactor: Redactor) -> None:
    logger, text = logged(redactor, "json")
    logger.warning("call.failed code=%s", "x")

    line = json.loads(text.getvalue())
    assert (line["level"], line["logger"], line["message"]) == ("warning", "mcp_gateway.test", "call.failed code=x")
    assert line["at"].endswith("+00:00")


def test_what_is_logged_during_a_call_names_its_trace(redactor: Redactor) -> None:
    trace = Trace.begin()
    logger, text = logged(redactor, "json")
    with at_work(trace):
        logger.info("during")
    logger.info("after")

    during, after = map(json.loads, text.getvalue().splitlines())
    assert during["trace"] == trace.id
    assert "trace" not in after


def test_a_line_of_text_ends_with_the_trace(redactor: Redactor) -> None:
    trace = Trace.begin()
    logger, text = logged(redactor, "text")
    with at_work(trace):
        logger.info("during")

    assert text.getvalue().endswith(f" during trace={trace.id}\n")


@pytest.mark.parametrize("format", ["text", "json"])
def test_secrets_are_in_no_part_of_a_record(redactor: Redactor, format: str) -> None:
    logger, text = logged(redactor, format)
    try:
        fail()
    except ValueError:
        logger.exception("failed with %s", SECRET, stack_info=True)

    assert SECRET not in text.getvalue()
    assert text.getvalue().count(HIDDEN) == 2
    assert "fail()" in text.getvalue()


@pytest.mark.parametrize("format", ["text", "json"])
def test_nobody_writes_lines_of_their_own(redactor: Redactor, format: str) -> None:
    logger, text = logged(redactor, format)
    logger.info("said %s", "hello\n12:00:00 ERROR   root forged \x1b[31m \u202e")

    assert text.getvalue().count("\n") == 1
    assert text.getvalue()[:-1].isprintable()


def test_milder_records_are_left_out(redactor: Redactor) -> None:
    logger, text = logged(redactor, "text", "warning")
    logger.info("not me")
    logger.warning("me")

    assert "not me" not in text.getvalue()
    assert "me" in text.getvalue()


def test_libraries_are_quiet_unless_debugging(redactor: Redactor) -> None:
    _, text = logged(redactor, "text", "info")
    logging.getLogger("httpx2.one_that_nobody_set").info("started")
    assert text.getvalue() == ""

    _, text = logged(redactor, "text", "debug")
    logging.getLogger("httpx2.one_that_nobody_set").info("started")
    assert "started" in text.getvalue()


def test_auto_is_json_where_no_terminal_is() -> None:
    program = (
        "import logging; from mcp_gateway.observe.logging import *; from mcp_gateway.observe.redaction import *;"
        "configure_logging('info', 'auto', Redactor()); logging.info('hello')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30)

    assert (done.stdout, json.loads(done.stderr)["message"]) == ("", "hello")
