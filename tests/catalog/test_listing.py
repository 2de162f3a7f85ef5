"""List results for every era."""

from __future__ import annotations

from typing import Any

import pytest
from mcp_gateway.catalog import (
    Catalog,
    Code,
    ExposeRules,
    Freshness,
    Kind,
    Offer,
    Prefix,
    SchemaCompat,
    check_cursor,
    read_pages,
)
from mcp_gateway.errors import InvalidParams
from mcp_gateway.revisions import LEGACY, MODERN
from mcp_gateway.wire import Raw, loads

from tests.catalog.offers import EMPTY_OBJECT, codes, listed, offer, page, tool

OFF = ExposeRules(schema_compat=SchemaCompat.OFF)


@pytest.mark.parametrize("revision", LEGACY)
def test_a_legacy_listing_has_its_list_and_nothing_else(revision: str) -> None:
    catalog = Catalog.build([offer("s", tools=["a"])])
    assert loads(catalog.listing(Kind.TOOL, revision)) == {"tools": [{"name": "s__a", "inputSchema": EMPTY_OBJECT}]}


@pytest.mark.parametrize(
    ("kind", "field"),
    [
        (Kind.TOOL, "tools"),
        (Kind.PROMPT, "prompts"),
        (Kind.RESOURCE, "resources"),
        (Kind.TEMPLATE, "resourceTemplates"),
    ],
)
@pytest.mark.parametrize("revision", MODERN)
def test_a_modern_listing_says_how_long_it_lasts(kind: Kind, field: str, revision: str) -> None:
    result = loads(Catalog.build([]).listing(kind, revision))
    assert result == {field: [], "resultType": "complete", "ttlMs": 10_000, "cacheScope": "private"}


@pytest.mark.parametrize(
    ("pages", "default", "expected"),
    [
        (
            [{"ttlMs": 700, "cacheScope": "public"}, {"ttlMs": 900, "cacheScope": "public"}],
            Freshness(800, True),
            (700, "public"),
        ),
        ([{"ttlMs": 900, "cacheScope": "public"}, {}], Freshness(800, True), (800, "private")),
        ([{"ttlMs": 700, "cacheScope": "public"}], Freshness(800, False), (700, "private")),
    ],
)
def test_the_strictest_source_decides(
    pages: list[dict[str, Any]], default: Freshness, expected: tuple[int, str]
) -> None:
    offers = [
        Offer(f"s{n}", "2026-07-28", (read_pages(Kind.TOOL, f"s{n}", [page(Kind.TOOL, [tool("t")], **more)]),))
        for n, more in enumerate(pages)
    ]
    catalog = Catalog.build(offers, expose=ExposeRules(freshness=default))
    result = loads(catalog.listing(Kind.TOOL, "2026-07-28"))
    assert (result["ttlMs"], result["cacheScope"]) == expected
    filtered = loads(catalog.listing(Kind.TOOL, "2026-07-28", lambda _: True))
    assert filtered["cacheScope"] == "private"


def test_unknown_fields_keep_their_bytes_in_every_revision() -> None:
    odd = (
        b'{"name":"a","title":"A","x-vendor":{ "n":1.0E2 },"icons":[ {"src":"https:\\/\\/a.test/i"} ],'
        b'"annotations":{ "readOnlyHint" : true },"inputSchema":{ "type" : "object" },"_meta":{ "k" :1}}'
    )
    part = read_pages(Kind.TOOL, "s", [b'{"tools":[' + odd + b"]}"])
    catalog = Catalog.build([Offer("s", "2025-11-25", (part,))])
    for revision in (*LEGACY, *MODERN):
        shown = bytes(catalog.listing(Kind.TOOL, revision))
        assert shown.startswith(b'{"tools":[' + odd.replace(b'"a"', b'"s__a"') + b"]")


def test_execution_is_never_shown() -> None:
    catalog = Catalog.build([offer("s", tools=[tool("a", execution={"taskSupport": "required"})])])
    for revision in (*LEGACY, *MODERN):
        assert "execution" not in listed(catalog, revision)[0]


@pytest.mark.parametrize("output", [{"type": "array"}, {"anyOf": []}, {"type": "object"}])
def test_legacy_clients_see_object_output_schemas_only(output: dict[str, Any]) -> None:
    catalog = Catalog.build([offer("s", tools=[tool("a", outputSchema=output)])], expose=OFF)
    assert listed(catalog, "2026-07-28")[0]["outputSchema"] == output
    assert ("outputSchema" in listed(catalog, "2025-11-25")[0]) is (output == {"type": "object"})


def test_a_tool_with_a_bad_header_is_hidden_from_modern_clients_alone() -> None:
    bad = tool("a", inputSchema={"type": "object", "properties": {"p": {"type": "object", "x-mcp-header": "P"}}})
    for given in (bad, {**bad, "execution": {}}):
        catalog = Catalog.build([offer("s", tools=[given, "b"])])
        assert [d["name"] for d in listed(catalog, "2026-07-28")] == ["s__b"]
        assert [d["name"] for d in listed(catalog, "2025-11-25")] == ["s__a", "s__b"]
        assert codes(catalog) == [Code.BAD_HEADER]
        assert catalog.entries(Kind.TOOL)[0].definition["name"] == "s__a"


def test_valid_headers_stand_in_the_route() -> None:
    schema = {"type": "object", "properties": {"region": {"type": "string", "x-mcp-header": "Region"}}}
    catalog = Catalog.build([offer("s", tools=[tool("a", inputSchema=schema)])])
    route = catalog.find(Kind.TOOL, "s__a")
    assert route is not None
    assert route.header_params == {("region",): "Mcp-Param-Region"}
    assert listed(catalog)[0]["inputSchema"] == schema


def test_a_rewritten_schema_is_told_in_the_tool_and_in_the_problems() -> None:
    given = tool("a", inputSchema={"properties": {"l": {"type": "array"}}}, outputSchema={"anyOf": []}, _meta={"k": 1})
    catalog = Catalog.build([offer("s", tools=[given])])
    (shown,) = listed(catalog)
    changes = [
        "inputSchema: type: object added",
        "inputSchema: items: {} added to arrays without items",
        "outputSchema: dropped, its type is not object",
    ]
    assert shown["inputSchema"] == {"type": "object", "properties": {"l": {"type": "array", "items": {}}}}
    assert "outputSchema" not in shown
    assert shown["_meta"] == {"k": 1, "io.mcp-gateway/schema": changes}
    assert [(p.code, p.name, p.text) for p in catalog.problems] == [(Code.SCHEMA_REWRITTEN, "a", "; ".join(changes))]


def test_a_tool_without_meta_gets_one_when_it_is_rewritten() -> None:
    catalog = Catalog.build([offer("s", tools=[tool("a", inputSchema={})])])
    assert listed(catalog)[0]["_meta"] == {"io.mcp-gateway/schema": ["inputSchema: type: object added"]}


@pytest.mark.parametrize("expose", [OFF, ExposeRules(prefix=Prefix.NEVER)])
def test_schemas_are_left_alone_when_asked(expose: ExposeRules) -> None:
    catalog = Catalog.build([offer("s", tools=[tool("a", inputSchema={"oneOf": []})])], expose=expose)
    assert listed(catalog)[0]["inputSchema"] == {"oneOf": []}
    assert catalog.problems == ()


def test_the_joined_listing_is_made_once() -> None:
    catalog = Catalog.build([offer("s", tools=["a"])])
    assert catalog.listing(Kind.TOOL, "2025-11-25") is catalog.listing(Kind.TOOL, "2025-06-18")
    assert catalog.listing(Kind.TOOL, "2026-07-28") is catalog.listing(Kind.TOOL, "2026-07-28")


def test_a_filter_hides_what_is_not_allowed() -> None:
    catalog = Catalog.build([offer("a", tools=["x"]), offer("b", tools=["y"])])
    result = loads(catalog.listing(Kind.TOOL, "2025-11-25", lambda route: route.server == "b"))
    assert [definition["name"] for definition in result["tools"]] == ["b__y"]


@pytest.mark.parametrize(
    "params", [{}, {"cursor": None}, {"cursor": ""}, {"cursor": Raw(b'""')}, {"cursor": Raw(b"null")}]
)
def test_no_cursor_and_the_empty_one_are_fine(params: dict[str, Any]) -> None:
    check_cursor(params)


@pytest.mark.parametrize("cursor", ["2", Raw(b'"2"'), 0, Raw(b"7"), [], False])
def test_any_other_cursor_is_refused(cursor: Any) -> None:
    with pytest.raises(InvalidParams, match="cursor"):
        check_cursor({"cursor": cursor})
