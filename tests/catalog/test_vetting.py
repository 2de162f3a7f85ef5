"""What a server lists, checked one definition at a time."""

from __future__ import annotations

from typing import Any

import pytest
from mcp_gateway.catalog import Caps, Code, Kind, Part, read_pages, vet
from mcp_gateway.errors import UpstreamProtocolError
from mcp_gateway.wire import Raw, encode, loads

from tests.catalog.offers import codes, page, tool


def read(kind: Kind, *definitions: Any, caps: Caps | None = None) -> Part:
    return read_pages(kind, "s", [page(kind, definitions)], caps or Caps())


def names(part: Part) -> list[str]:
    return [loads(entry["name"]) for entry in part.entries]


def test_fields_keep_their_bytes() -> None:
    odd = (
        b'{"name" : "a","x-vendor": { "n":1.0E2 , "u":"\\u00e9" },'
        b'"inputSchema":{ "type" : "object" },"_meta":{ "k" :1}}'
    )
    (entry,) = read_pages(Kind.TOOL, "s", [b'{"tools":[' + odd + b"]}"]).entries
    assert bytes(entry["x-vendor"]) == b'{ "n":1.0E2 , "u":"\\u00e9" }'
    assert bytes(entry["inputSchema"]) == b'{ "type" : "object" }'
    assert bytes(entry["_meta"]) == b'{ "k" :1}'


def test_pages_follow_one_another() -> None:
    part = read_pages(Kind.TOOL, "s", [page(Kind.TOOL, [tool("a")]), page(Kind.TOOL, [tool("b")])])
    assert names(part) == ["a", "b"]
    assert part.kind is Kind.TOOL


@pytest.mark.parametrize(
    "wrong",
    [b"{}", b"[]", b"null", b'{"tools":null}', b'{"tools":{}}', b"{", b'{"tools":[{"name":"x\\ud800"}]}', b'"\xff"'],
)
def test_what_is_no_list_is_a_failed_list_and_not_an_empty_one(wrong: bytes) -> None:
    with pytest.raises(UpstreamProtocolError, match="without tools"):
        read_pages(Kind.TOOL, "s", [wrong])


@pytest.mark.parametrize(
    ("pages", "ttl_ms", "public"),
    [
        ([], None, False),
        ([{}], None, False),
        ([{"ttlMs": 500, "cacheScope": "public"}, {"ttlMs": 90, "cacheScope": "public"}], 90, True),
        ([{"ttlMs": 0, "cacheScope": "private"}, {"ttlMs": -1, "cacheScope": "public"}], 0, False),
        ([{"ttlMs": "soon", "cacheScope": []}], None, False),
    ],
)
def test_the_shortest_time_and_the_narrowest_scope_count(pages: list[Any], ttl_ms: int | None, public: bool) -> None:
    part = read_pages(Kind.PROMPT, "s", [page(Kind.PROMPT, [], **more) for more in pages])
    assert (part.ttl_ms, part.public) == (ttl_ms, public)


def test_surplus_definitions_are_counted_once() -> None:
    part = read(Kind.TOOL, *(tool(f"t{n}") for n in range(5)), caps=Caps(tools=3))
    assert names(part) == ["t0", "t1", "t2"]
    assert [(p.code, p.name, p.text) for p in part.problems] == [(Code.TOO_MANY, None, "2 left out: more than 3 tools")]


def test_prompts_have_a_cap_of_their_own() -> None:
    part = read(Kind.PROMPT, {"name": "a"}, {"name": "b"}, caps=Caps(others=1))
    assert codes(part) == [Code.TOO_MANY]


def test_ten_thousand_tools_are_cut_at_a_thousand() -> None:
    assert len(read(Kind.TOOL, *(tool(f"t{n}") for n in range(10_000))).entries) == 1_000


@pytest.mark.parametrize("limit", [64, 1_000])
def test_a_long_description_is_cut_and_told(limit: int) -> None:
    part = read(Kind.TOOL, tool("a", description="é" * 5_000), caps=Caps(description_bytes=limit))
    assert len(loads(part.entries[0]["description"]).encode()) <= limit
    assert codes(part) == [Code.TRUNCATED]


@pytest.mark.parametrize(
    "definition",
    [
        tool("a", title="é" * 500),
        tool("a", annotations={"title": "é" * 500}),
        tool("a", inputSchema={"type": "object", "properties": {"p": {"description": "é" * 500}}}),
        tool("a", inputSchema={"type": "object", "anyOf": [{"title": "é" * 500}]}),
    ],
)
def test_long_titles_and_inner_descriptions_are_cut_and_told(definition: dict[str, Any]) -> None:
    part = read(Kind.TOOL, definition, caps=Caps(description_bytes=256))
    assert len(encode(part.entries[0])) < 500
    assert codes(part) == [Code.TRUNCATED]


def test_data_of_a_schema_is_not_cut() -> None:
    data = {"type": "object", "properties": {"p": {"default": {"title": "x " * 250}, "enum": ["y " * 250]}}}
    part = read(Kind.TOOL, tool("a", inputSchema=data), caps=Caps(description_bytes=256))
    assert loads(part.entries[0]["inputSchema"]) == data
    assert part.problems == ()


def test_a_digest_is_of_the_definition_as_received() -> None:
    long, longer = (tool("a", description="x" * length, outputSchema={"title": "y"}) for length in (500, 501))
    parts = [read(Kind.TOOL, definition, caps=Caps(description_bytes=256)) for definition in (long, longer)]
    assert parts[0].entries == parts[1].entries
    assert parts[0].digests["a"] != parts[1].digests["a"]
    assert parts[0].digests == read(Kind.TOOL, long).digests


def test_a_large_output_schema_goes_and_its_tool_stays() -> None:
    part = read(Kind.TOOL, tool("a", outputSchema={"type": "object", "title": "x" * 70_000}))
    assert "outputSchema" not in part.entries[0]
    assert codes(part) == [Code.SCHEMA_TOO_LARGE]


@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [
        (Kind.TOOL, "title", 7),
        (Kind.TOOL, "title", None),
        (Kind.TOOL, "description", None),
        (Kind.TOOL, "annotations", []),
        (Kind.TOOL, "annotations", {"readOnlyHint": "yes"}),
        (Kind.TOOL, "icons", [{"sizes": ["16x16"]}]),
        (Kind.TOOL, "_meta", "x"),
        (Kind.TOOL, "outputSchema", None),
        (Kind.PROMPT, "arguments", None),
        (Kind.RESOURCE, "mimeType", 1),
        (Kind.RESOURCE, "size", "big"),
        (Kind.RESOURCE, "annotations", {"audience": "user"}),
        (Kind.TEMPLATE, "annotations", {"priority": "high"}),
    ],
)
def test_an_optional_field_of_the_wrong_type_goes_alone(kind: Kind, field: str, value: Any) -> None:
    sound = {
        Kind.TOOL: tool("a"),
        Kind.PROMPT: {"name": "a"},
        Kind.RESOURCE: {"uri": "x:a", "name": "a"},
        Kind.TEMPLATE: {"uriTemplate": "x:{a}", "name": "a"},
    }
    part = read(kind, {**sound[kind], field: value})
    assert field not in part.entries[0]
    assert codes(part) == [Code.BAD_FIELD]


def test_well_formed_optional_fields_stay() -> None:
    full = tool(
        "a",
        title="A",
        description="d",
        annotations={"title": "A", "readOnlyHint": True, "vendor": [1]},
        icons=[{"src": "https://a.test/i.png", "mimeType": "image/png", "sizes": ["any"], "theme": "dark"}],
        outputSchema={"anyOf": []},
        execution={"taskSupport": "optional"},
    )
    part = read(Kind.TOOL, full)
    assert {name: loads(raw) for name, raw in part.entries[0].items()} == full
    assert part.problems == ()


@pytest.mark.parametrize(
    ("kind", "definition", "code"),
    [
        (Kind.PROMPT, {"name": "a", "arguments": [{"description": "no name"}]}, Code.BAD_FIELD),
        (Kind.PROMPT, {"name": "a", "arguments": {}}, Code.BAD_FIELD),
        (Kind.PROMPT, {"title": "nameless"}, Code.BAD_NAME),
        (Kind.RESOURCE, {"uri": "x:a"}, Code.BAD_NAME),
        (Kind.RESOURCE, {"uri": "x:a", "name": 7}, Code.BAD_NAME),
        (Kind.RESOURCE, {"uri": "relative/path", "name": "a"}, Code.BAD_NAME),
        (Kind.RESOURCE, {"uri": "x:a b", "name": "a"}, Code.BAD_NAME),
        (Kind.RESOURCE, {"name": "a"}, Code.BAD_NAME),
        (Kind.TEMPLATE, {"uriTemplate": "x:{", "name": "a"}, Code.BAD_NAME),
        (Kind.TEMPLATE, {"uriTemplate": "x:{a}"}, Code.BAD_NAME),
    ],
)
def test_broken_definitions_of_other_kinds_go_too(kind: Kind, definition: dict[str, Any], code: Code) -> None:
    part = read(kind, definition)
    assert part.entries == ()
    assert codes(part) == [code]


def test_prompts_with_arguments_stay() -> None:
    part = read(Kind.PROMPT, {"name": "a", "arguments": [{"name": "x", "required": True}]})
    assert part.problems == ()


def test_a_problem_names_its_definition_or_its_place() -> None:
    part = read(Kind.TOOL, tool("good"), 7, tool("bad", inputSchema=None), tool("a\u200bb"))
    assert [(p.server, p.name) for p in part.problems] == [("s", "#2"), ("s", "bad"), ("s", "#4")]
    assert "'ab'" in part.problems[2].text


def test_definitions_can_be_vetted_apart() -> None:
    part = vet(Kind.TOOL, "s", [Raw(encode(tool("a"))), Raw(b"7")])
    assert names(part) == ["a"]
    assert codes(part) == [Code.BAD_ENTRY]
