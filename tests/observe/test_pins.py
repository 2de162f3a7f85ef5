"""What operators are shown of a changed definition."""

from __future__ import annotations

from typing import Any

from mcp_gateway.observe.pins import BEYOND_THE_CAP, withheld
from mcp_gateway.security.pins import Book, Record, Seen

from tests.security.definitions import offered


def book(old: Record | None = None, **changed: Any) -> Book:
    before = Seen.of(offered(), 0.0) if old is None else old.pinned
    return {"up": {"echo": Record(before, Seen.of(offered(**changed), 86_400.0)), "fine": Record(before)}}


def diff(**changed: Any) -> list[str]:
    (item,) = withheld(book(**changed))
    lines: list[str] = item["diff"].split("\n")
    return lines


def test_prose_is_compared_line_by_line() -> None:
    assert diff(description="Says it again.\nAnd tells me.") == [
        "--- pinned description",
        "+++ offered description",
        "@@ -1 +1,2 @@",
        " Says it again.",
        "+And tells me.",
    ]


def test_schemas_are_compared_as_indented_json() -> None:
    lines = diff(inputSchema={"type": "object", "properties": {"text": {"type": "string", "default": "é"}}})
    assert lines[:2] == ["--- pinned inputSchema", "+++ offered inputSchema"]
    assert [line.strip() for line in lines if line.startswith(("+ ", "- "))] == ['+      "default": "é",']


def test_fields_that_come_and_go_are_shown_whole() -> None:
    assert diff(title=None)[-1] == "-Echo"


def test_what_cannot_be_seen_is_shown() -> None:
    assert diff(description="a\u202eb\x1b[2J\U000e0041\tc")[-1] == "+a\\u202eb\\x1b[2J\\U000e0041\tc"


def test_everything_else_about_it_is_told() -> None:
    (item,) = withheld(book(description="New.", title="New"), "up")
    assert (item["server"], item["tool"], item["state"]) == ("up", "echo", "changed")
    assert (item["fields"], item["since"]) == (["title", "description"], "1970-01-02T00:00:00+00:00")
    assert item["pinned"] != item["offered"] == offered(description="New.", title="New").digest


def test_a_new_tool_is_shown_whole() -> None:
    (item,) = withheld(book(Record()))
    assert (item["state"], item["pinned"]) == ("new", None)
    assert item["fields"][0] == "name"
    assert "+Says it again." in item["diff"]


def test_a_change_beyond_the_cap_has_no_lines() -> None:
    assert diff() == [BEYOND_THE_CAP]


def test_other_servers_are_left_out() -> None:
    assert withheld(book(), "side") == []
