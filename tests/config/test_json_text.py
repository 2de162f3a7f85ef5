"""JSON as hosts write it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.config.files import load, problems


def test_tabs_comments_and_trailing_commas_are_fine(tmp_path: Path) -> None:
    text = '{\n\t// a comment\n\t"mcpServers": { /* and\nmore */ "a": {"command": "x", "args": ["1", 2,],},\n\t},\n}\n'

    assert load(tmp_path, text, "mcp.json").servers["a"].model_dump()["args"] == ("1", "2")


def test_escapes_are_decoded(tmp_path: Path) -> None:
    text = r'{"mcpServers": {"\u00e4 \ud83d\ude00": {"command": "C:\\x\n"}}}'

    assert load(tmp_path, text, "a.json").servers["ä 😀"].model_dump()["command"] == "C:\\x\n"


def test_a_byte_order_mark_is_fine(tmp_path: Path) -> None:
    assert load(tmp_path, "\ufeff{}", "a.json").servers == {}


GOLDEN = {
    "a bare key": ("{a: 1}", "a.json:1:2: not JSON: expected a key in double quotes or '}', found 'a'"),
    "single quotes": ("{\"a\": 'b'}", 'a.json:1:7: not JSON: expected a value, found "\'"'),
    "no colon": ('{"a" 1}', "a.json:1:6: not JSON: expected ':', found '1'"),
    "no comma": ('{"a": 1\n "b": 2}', "a.json:2:2: not JSON: expected ',' or '}', found '\"'"),
    "no comma in a list": ('{"a": [1 2]}', "a.json:1:10: not JSON: expected ',' or ']', found '2'"),
    "the end": ('{"a": ', "a.json:1:7: not JSON: expected a value, found the end of the file"),
    "an open string": ('{"a": "b\n"}', "a.json:1:7: not JSON: a string without its closing quote on the same line"),
    "a broken escape": ('{"a": "\\q"}', "a.json:1:7: not JSON: a string with a broken escape"),
    "two values": ("{} {}", "a.json:1:4: not JSON: something after the end of the value"),
    "NaN": ('{"a": NaN}', "a.json:1:7: not JSON: expected a value, found 'N'"),
    "a leading zero": ('{"a": 012}', "a.json:1:7: not JSON: expected a value, found '0'"),
    "a duplicate": (
        '{"server": {"port": 1,\n"port": 2}}',
        "a.json:2:1: server.port: duplicate key, first written on line 1",
    ),
    "half a character": (
        '{"mcpServers": {"a": {"command": "\\ud800"}}}',
        "a.json:1:34: mcpServers.a.command: half a character",
    ),
    "half a character in a key": ('{"mcpServers": {"\\ud800": {}}}', "a.json:1:17: mcpServers: half a character"),
    "depth": ("[" * 100, "a.json:1:66: not JSON: nested deeper than 64 levels"),
    "a list": ("[]", "a.json:1:1: expected a mapping of settings, found a list"),
    "nothing": ("// nothing\n", "a.json:1:1: the file is empty"),
}


@pytest.mark.parametrize("case", GOLDEN)
def test_what_cannot_be_read_is_placed(tmp_path: Path, case: str) -> None:
    text, line = GOLDEN[case]

    assert problems(tmp_path, text, "a.json")[0].startswith(line)
