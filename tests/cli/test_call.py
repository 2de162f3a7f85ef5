"""`call`, over the running gateway."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.command import run


def test_words_become_what_the_schema_wants(served: Path) -> None:
    done = run(served, "call", "box__kinds", "text=12", "count=12", "perhaps=null", "colour=red", "text2=ä ☃")

    assert done.status == 0, done.err
    assert json.loads(done.out) == {"text": "12", "count": 12, "perhaps": None, "colour": "red", "text2": "ä ☃"}


def test_a_name_given_twice_makes_a_list(served: Path) -> None:
    done = run(served, "call", "box__kinds", "counts=1", "counts=2")

    assert json.loads(done.out) == {"counts": [1, 2]}


def test_a_name_given_twice_is_refused_where_one_value_fits(served: Path) -> None:
    done = run(served, "call", "box__kinds", "count=1", "count=2", "--json")

    assert (done.status, done.out) == (65, "")
    assert done.error == {
        "code": "invalid_params",
        "message": "'count' is given 2 times, but takes one value",
        "server": None,
    }


@pytest.mark.parametrize("word", ["no-equals-sign", "=value"])
def test_a_word_that_is_no_pair_is_bad_data(served: Path, word: str) -> None:
    done = run(served, "call", "box__kinds", word)

    assert done.status == 65
    assert f"{word!r} is not NAME=VALUE" in done.err


def test_bytes_that_are_no_text_are_bad_data(served: Path) -> None:
    done = run(served, "call", "box__kinds", "text=\udcff")

    assert done.status == 65
    assert "is not UTF-8 text" in done.err


@pytest.mark.parametrize("arguments", [("-",), ("--json-args", "-")])
def test_arguments_come_from_standard_input(served: Path, arguments: tuple[str, ...]) -> None:
    done = run(served, "call", "box__kinds", *arguments, stdin='{"count": 1, "text": "2"}')

    assert json.loads(done.out) == {"count": 1, "text": "2"}


def test_words_are_added_to_json(served: Path) -> None:
    done = run(served, "call", "box__kinds", "count=2", "--json-args", "-", stdin='{"count": 1, "flag": false}')

    assert json.loads(done.out) == {"count": 2, "flag": False}


@pytest.mark.parametrize("text", ["", "[1]", "{", "nul", '{"a": NaN}', "[" * 100_000, "\udcff"])
def test_json_that_is_no_object_is_bad_data(served: Path, text: str) -> None:
    done = run(served, "call", "box__kinds", "-", stdin=text)

    assert done.status == 65
    assert done.err == "error[invalid_params]: the arguments are not a JSON object\n"


def test_json_output_is_the_result_of_the_call(served: Path) -> None:
    done = run(served, "--json", "call", "box__structured")

    assert done.body["structuredContent"] == {"degrees": 21}


def test_structured_content_is_shown_when_there_is_nothing_else(served: Path) -> None:
    assert json.loads(run(served, "call", "box__structured").out) == {"degrees": 21}


def test_binary_content_is_told_in_a_line(served: Path) -> None:
    done = run(served, "call", "box__binary")

    assert done.out.splitlines() == [
        "[image image/png, 8 bytes]",
        "[resource test://blob application/x-odd, 8 bytes]",
        "a note",
        "[link test://far far]",
    ]


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_control_characters_never_reach_the_terminal(served: Path, form: tuple[str, ...]) -> None:
    done = run(served, "call", "box__escapes", *form)

    assert done.status == 0
    assert all(char.isprintable() or char == "\n" for char in done.out)
    assert "31m" in done.out


def test_json_output_keeps_the_meaning_of_escaped_characters(served: Path) -> None:
    done = run(served, "call", "box__escapes", "--json")

    assert "\x1b[31m" in done.body["content"][0]["text"]
    assert "\u202e" in done.body["content"][0]["text"]


def test_a_tool_that_fails_exits_with_5(served: Path) -> None:
    done = run(served, "call", "box__fail")

    assert (done.status, done.out) == (5, "it went wrong\n")


def test_a_failing_tool_may_be_ignored(served: Path) -> None:
    assert run(served, "call", "box__fail", "--ignore-tool-error").status == 0


def test_an_error_of_the_upstream_itself_exits_with_5_too(served: Path) -> None:
    done = run(served, "call", "box__refuse")

    assert (done.status, done.out) == (5, "")
    assert done.err == "error[upstream_error]: not \\x1b[31mtoday\n"


def test_an_unknown_tool_exits_with_66_and_the_nearest_name(served: Path) -> None:
    done = run(served, "call", "box__kind", "count=1")

    assert done.status == 66
    assert "did you mean 'box__kinds'?" in done.err


def test_a_call_ends_at_its_own_deadline(served: Path) -> None:
    done = run(served, "call", "box__slow", "--timeout", "0.2")

    assert done.status == 4


@pytest.mark.parametrize("timeout", ["0", "-1", "soon"])
def test_a_deadline_that_is_none_is_a_usage_error(served: Path, timeout: str) -> None:
    assert run(served, "call", "box__slow", "--timeout", timeout).status == 2
