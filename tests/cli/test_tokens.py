"""`tokens` says what the tool list costs a model."""

from __future__ import annotations

import json
from pathlib import Path

from mcp_gateway.catalog import BYTES_PER_TOKEN
from mcp_gateway.cli.tokens import SEARCH_MODE_BYTES, Footprint, footprints, in_search_mode, lines

from tests.cli.command import run

SMALL = {"name": "a__x", "server": "a", "tool": "x"}
LARGE = {"name": "b__y", "description": "é" * 100, "server": "b", "tool": "y"}
OWN = {"name": "sysinfo", "server": None, "tool": "sysinfo"}


def test_a_tool_costs_what_a_client_is_shown_in_bytes() -> None:
    assert footprints([SMALL]) == [Footprint("a", 1, len(b'{"name":"a__x"}'))]


def test_the_largest_server_comes_first() -> None:
    assert [share.server for share in footprints([OWN, SMALL, LARGE, SMALL])] == ["b", "a", None]


def test_tokens_are_bytes_by_four_rounded_up() -> None:
    assert [Footprint("a", 1, size).tokens for size in (0, 1, BYTES_PER_TOKEN, BYTES_PER_TOKEN + 1)] == [0, 1, 1, 2]


def test_search_mode_keeps_the_built_in_tools() -> None:
    kept = in_search_mode(footprints([OWN, LARGE]))

    assert (kept.tools, kept.bytes) == (5, SEARCH_MODE_BYTES + len(b'{"name":"sysinfo"}'))


def test_the_table_shows_estimates_with_an_approximate_sign() -> None:
    shares = [Footprint("a", 30, 40_000), Footprint(None, 1, 400)]

    text = lines(shares, Footprint(None, 31, 40_400), in_search_mode(shares))

    assert text[0].split() == ["a", "30", "tools", "40,000", "bytes", "≈", "10,000", "tokens"]
    assert text[-1] == "search mode would save ≈ 9,150 tokens; tokens are estimated as bytes / 4"


def test_a_short_list_has_nothing_to_save() -> None:
    shares = [Footprint("a", 1, 40)]

    assert lines(shares, Footprint(None, 1, 40), in_search_mode(shares))[-1].startswith(
        "search mode would save nothing"
    )


def test_the_command_measures_the_running_gateway(served: Path) -> None:
    body = run(served, "tokens", "--json").body
    listed = run(served, "list", "--json").body["tools"]

    assert {share["server"] for share in body["servers"]} == {tool["server"] for tool in listed}
    assert body["total"]["tools"] == len(listed) == sum(share["tools"] for share in body["servers"])
    assert body["total"]["bytes"] < len(json.dumps(listed))
    assert body["search_mode"]["saved_tokens"] == max(body["total"]["tokens"] - body["search_mode"]["tokens"], 0)


def test_the_command_prints_a_line_a_server(served: Path) -> None:
    out = run(served, "tokens").out

    assert [line.split()[0] for line in out.splitlines()[:-1]] == ["built-in", "box", "all", "in"]
