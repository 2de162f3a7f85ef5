"""The catalog as a whole."""

from __future__ import annotations

import time

import pytest
from mcp_gateway.catalog import Catalog, Kind, diff

from tests.catalog.offers import offer, tool


def test_an_empty_catalog_knows_nothing() -> None:
    catalog = Catalog.build(())
    assert catalog.find(Kind.TOOL, "x") is None
    assert catalog.find(Kind.RESOURCE, "x:1") is None
    assert catalog.owner("x:1") is None
    assert catalog.nearest(Kind.TOOL, "x") is None
    assert catalog.instructions is None


def test_entries_are_decoded_and_carry_their_route() -> None:
    (entry,) = Catalog.build([offer("s", tools=[tool("a", description="d")])]).entries(Kind.TOOL)
    assert (entry.route.server, entry.route.name, entry.route.exposed) == ("s", "a", "s__a")
    assert entry.definition["description"] == "d"


def test_the_prefix_of_each_server_can_be_read() -> None:
    assert Catalog.build([offer("my server")]).prefixes == {"my server": "my_server"}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("get_time", "clock__get_time"),
        ("Clock__Get_Time", "clock__get_time"),
        ("clock__get_tiem", "clock__get_time"),
        ("get_tme", "clock__get_time"),
        ("something else", None),
        ("clock__get_time" * 20, None),
    ],
)
def test_the_nearest_name_is_suggested(name: str, expected: str | None) -> None:
    assert Catalog.build([offer("clock", tools=["get_time", "zone"])]).nearest(Kind.TOOL, name) == expected


def test_a_refused_name_is_never_suggested() -> None:
    catalog = Catalog.build([offer("clock", tools=["get_time"])])
    assert catalog.nearest(Kind.TOOL, "get_time", lambda _: False) is None
    assert catalog.nearest(Kind.TOOL, "get_time", lambda _: True) == "clock__get_time"


def test_uris_are_suggested_too() -> None:
    assert Catalog.build([offer("s", resources=["x://readme"])]).nearest(Kind.RESOURCE, "x://readm") == "x://readme"


def test_the_same_offers_make_the_same_catalog() -> None:
    def build() -> Catalog:
        return Catalog.build([offer("a", tools=["x"], prompts=["p"], instructions="i"), offer("b", resources=["x:1"])])

    assert build().version == build().version
    assert diff(build(), build()) == frozenset()
    assert build().listing(Kind.TOOL, "2026-07-28") is not None


def test_differences_are_told_by_kind() -> None:
    base = Catalog.build([offer("a", tools=["x"])])
    assert diff(base, Catalog.build([offer("a", tools=["x"], templates=["x:{a}"])])) == {"resources"}
    assert diff(base, Catalog.build([offer("a", prompts=["p"])])) == {"tools", "prompts"}
    assert diff(base, Catalog.build([offer("a", tools=["x"], resources=["x:1"])])) == {"resources"}


def test_the_version_changes_with_instructions_and_hidden_tools() -> None:
    bad = tool("x", inputSchema={"type": "object", "x-mcp-header": "X"})
    catalogs = [
        Catalog.build([offer("a", tools=["x"])]),
        Catalog.build([offer("a", tools=["x"], instructions="i")]),
        Catalog.build([offer("a", tools=[bad])]),
    ]
    assert len({catalog.version for catalog in catalogs}) == 3


def test_a_thousand_tools_are_built_in_time() -> None:
    properties = {f"p{n}": {"type": "string", "description": "a parameter"} for n in range(6)}
    many = [
        tool(
            f"tool_{n}",
            description="Line one.\nLine two. " * 5,
            inputSchema={"type": "object", "properties": properties},
        )
        for n in range(1_000)
    ]
    given = offer("s", tools=many)
    started_s = time.process_time()
    catalog = Catalog.build([given])
    assert time.process_time() - started_s < 0.45  # 0.15 s on a quiet machine; three times that under load
    catalog.listing(Kind.TOOL, "2026-07-28")
    started_s = time.process_time()
    for _ in range(1_000):
        catalog.listing(Kind.TOOL, "2026-07-28")
    assert time.process_time() - started_s < 0.1
