"""YAML arrives as it was written."""

from __future__ import annotations

from pathlib import Path

import pytest
from mcp_gateway.config import StdioServer

from tests.config.files import load, problems


def stdio(folder: Path, entry: str) -> StdioServer:
    server = load(folder, f"mcpServers:\n  a:\n    command: x\n    {entry}\n").servers["a"]
    assert isinstance(server, StdioServer)
    return server


def test_arguments_keep_their_source_text(tmp_path: Path) -> None:
    server = stdio(tmp_path, "args: [-p, 8080, 3.10, true, no, 12:30, 0x1F, 1e3, 2026-01-02, 010]")

    assert server.args == ("-p", "8080", "3.10", "true", "no", "12:30", "0x1F", "1e3", "2026-01-02", "010")


def test_environment_values_keep_their_source_text(tmp_path: Path) -> None:
    server = stdio(tmp_path, "env: {PORT: 8080, VERSION: 3.10, FLAG: true, ANSWER: no, AT: 12:30:45}")

    values = {name: secret.get_secret_value() for name, secret in server.env.items()}
    assert values == {"PORT": "8080", "VERSION": "3.10", "FLAG": "true", "ANSWER": "no", "AT": "12:30:45"}


@pytest.mark.parametrize(
    ("written", "meant"), [("yes", True), ("on", True), ("No", False), ("OFF", False), ("1", True)]
)
def test_older_spellings_of_booleans_are_read_where_a_boolean_is_expected(
    tmp_path: Path, written: str, meant: bool
) -> None:
    assert stdio(tmp_path, f"lazy: {written}").lazy is meant


def test_a_key_without_a_value_counts_as_not_written(tmp_path: Path) -> None:
    config = load(tmp_path, "mcpServers:\nllm:\nserver:\n  port: ~\n")

    assert config.servers == {}
    assert config.server.port == 8765


def test_merge_keys_fill_what_an_entry_lacks(tmp_path: Path) -> None:
    text = (
        "mcpServers:\n  a: &a {command: x, timeout: 5}\n  b: {<<: *a, command: y}\n  c:\n    <<: [*a, {lazy: true}]\n"
    )
    config = load(tmp_path, text)

    assert [(s.timeout, s.lazy) for s in config.servers.values()] == [(5.0, False), (5.0, False), (5.0, True)]
    assert config.servers["b"].model_dump()["command"] == "y"


def test_an_anchor_stands_for_its_value_and_key(tmp_path: Path) -> None:
    config = load(tmp_path, "mcpServers:\n  &n a: {command: x, args: [*n]}\n")

    assert config.servers["a"].model_dump()["args"] == ("a",)


def test_core_tags_change_nothing(tmp_path: Path) -> None:
    assert stdio(tmp_path, 'args: [!!str 8080, ! 5, !!int "6"]').args == ("8080", "5", "6")


GOLDEN = {
    "a tab": ("mcpServers:\n\ta: {}\n", "gateway.yaml:2:1: a tab cannot indent YAML; use spaces"),
    "an open bracket": ("a: [1, 2\n", "gateway.yaml:2:1: not YAML: did not find expected ',' or ']' "),
    "a duplicate": (
        "server: {port: 1}\nserver: {}\n",
        "gateway.yaml:2:1: server: duplicate key, first written on line 1",
    ),
    "an unknown anchor": ("a: *b\n", "gateway.yaml:1:4: the anchor 'b' is not defined before this line"),
    "itself": ("a: &a [*a]\n", "gateway.yaml:1:8: the anchor 'a' is not defined before this line"),
    "a tag": ("a: !!python/name:os.system x\n", "gateway.yaml:1:4: the tag tag:yaml.org,2002:python/name:os.system is"),
    "two documents": ("a: 1\n---\nb: 1\n", "gateway.yaml:2:1: a second document; write one per file"),
    "a mapping as key": ("? {a: 1}\n: x\n", "gateway.yaml:1:3: a key must be plain text"),
    "a merge of text": ("a: {<<: x}\n", "gateway.yaml:1:5: '<<' merges mappings only"),
    "a control character": ("a: 1\nb: \x07\n", "gateway.yaml:2:4: a control character; is this a text file?"),
    "a list": ("- a\n", "gateway.yaml:1:1: expected a mapping of settings, found a list"),
    "text": ("hello\n", "gateway.yaml:1:1: expected a mapping of settings, found text"),
    "nothing": ("# only a comment\n", "gateway.yaml:1:1: the file is empty; it needs at least 'mcpServers:'"),
    "null": ("null\n", "gateway.yaml:1:1: the file is empty"),
    "depth": ("[" * 100, "gateway.yaml:1:66: nested deeper than 64 levels"),
}


@pytest.mark.parametrize("case", GOLDEN)
def test_what_cannot_be_read_is_placed(tmp_path: Path, case: str) -> None:
    text, line = GOLDEN[case]

    assert problems(tmp_path, text)[0].startswith(line)


def test_a_reference_that_needs_quotes_is_recognised(tmp_path: Path) -> None:
    (line,) = problems(tmp_path, "mcpServers:\n  a: {command: x, timeout: ${T}}\n")

    assert line.startswith("gateway.yaml:2:29: not YAML: ")
    assert line.endswith('; inside { } and [ ] a reference needs quotes: "${NAME}"')


def test_duplicate_keys_are_found_on_every_level(tmp_path: Path) -> None:
    text = "mcpServers:\n  a:\n    command: x\n    env: {A: 1,\n      A: 2}\n    command: y\n"

    assert problems(tmp_path, text) == [
        "gateway.yaml:5:7: mcpServers.a.env.A: duplicate key, first written on line 4",
        "gateway.yaml:6:5: mcpServers.a.command: duplicate key, first written on line 3",
    ]


def test_anchors_may_not_be_used_without_bound(tmp_path: Path) -> None:
    bomb = "a: &a [x]\n" + "".join(
        f"{new}: &{new} [{', '.join(['*' + old] * 7)}]\n" for old, new in zip("abc", "bcd", strict=True)
    )

    assert problems(tmp_path, bomb) == ["gateway.yaml:3:28: more than 50 uses of anchors"]
