"""Parts of the catalog: what they admit, and the listings kept of them."""

from __future__ import annotations

import pytest
from mcp_gateway.catalog import NOTHING, WHOLE, Catalog, ExposeRules, Filter, Kind, Order, Route, Shortlist, Size, View
from mcp_gateway.wire import encode, loads

from tests.catalog.offers import offer

CATALOG = Catalog.build(
    [offer("a", tools=["one", "two"], prompts=["p"]), offer("b", tools=["one"])], builtins=[{"name": "own"}]
)


def view(**globs: tuple[str, ...]) -> View:
    return View((Filter(**globs),))


def names(catalog: Catalog, allowed: View | Shortlist) -> list[str]:
    return [tool["name"] for tool in loads(catalog.listing(Kind.TOOL, "2025-11-25", allowed))["tools"]]


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (WHOLE, ["own", "a__one", "a__two", "b__one"]),
        (NOTHING, []),
        (view(servers=("a",)), ["own", "a__one", "a__two"]),
        (view(deny_servers=("a",)), ["own", "b__one"]),
        (view(tools=("*__one",)), ["a__one", "b__one"]),
        (view(tools=("*__one",), deny_tools=("b*",)), ["a__one"]),
        (View((Filter(servers=("a",)), Filter(tools=("*one",)))), ["a__one"]),
        (Shortlist(WHOLE), ["own"]),
        (Shortlist(view(servers=("b",)), pinned=("*__one",)), ["own", "b__one"]),
    ],
)
def test_a_part_lists_what_it_admits(part: View | Shortlist, expected: list[str]) -> None:
    assert names(CATALOG, part) == expected


def test_globs_of_tools_decide_on_tools_only() -> None:
    prompt = Route(Kind.PROMPT, "a", "a__p", "p")
    assert view(tools=())(prompt)
    assert not view(servers=("b",))(prompt)


def test_the_listing_of_equal_parts_is_made_once() -> None:
    first = CATALOG.listing(Kind.TOOL, "2025-11-25", view(servers=("a",)))
    assert CATALOG.listing(Kind.TOOL, "2025-06-18", view(servers=("a",))) is first
    assert CATALOG.listing(Kind.TOOL, "2025-11-25", view(servers=("b",))) is not first


def test_kept_listings_are_bounded() -> None:
    first = CATALOG.listing(Kind.TOOL, "2025-11-25", view(servers=("a",)))
    for number in range(100):
        CATALOG.listing(Kind.TOOL, "2025-11-25", view(servers=(str(number),)))
    again = CATALOG.listing(Kind.TOOL, "2025-11-25", view(servers=("a",)))
    assert again == first
    assert again is not first


def test_what_is_listed_besides_is_sorted_in_where_names_decide() -> None:
    catalog = Catalog.build([offer("s", tools=["x"])], expose=ExposeRules(order=Order.NAME), builtins=[{"name": "m"}])
    listing = catalog.listing(
        Kind.TOOL, "2025-11-25", Shortlist(WHOLE, ("*",)), besides=lambda: [{"name": "z"}, {"name": "n"}]
    )
    assert [tool["name"] for tool in loads(listing)["tools"]] == ["m", "n", "s__x", "z"]


def test_the_size_of_a_part_is_that_of_its_tools() -> None:
    assert CATALOG.size(NOTHING) == Size(0, 0)
    assert CATALOG.size(WHOLE).tools == 4
    entry = CATALOG.tool("b__one")
    assert entry is not None
    assert CATALOG.size(view(tools=("b*",))) == Size(1, len(encode(entry.definition)))


def test_a_size_in_tokens_is_rounded_up() -> None:
    assert [Size(1, size).tokens for size in (0, 1, 4, 5)] == [0, 1, 1, 2]


def test_tools_are_counted_by_server() -> None:
    assert CATALOG.tools_by_server(WHOLE) == {"a": 2, "b": 1}
    assert CATALOG.tools_by_server(view(tools=("b*",))) == {"b": 1}


def test_one_tool_is_found_with_its_definition() -> None:
    entry = CATALOG.tool("a__one")
    assert entry is not None
    assert (entry.route.server, entry.definition["name"]) == ("a", "a__one")
    assert CATALOG.tool("one") is None


def test_instructions_of_a_part_are_those_of_its_servers() -> None:
    catalog = Catalog.build([offer("a", instructions="Do this."), offer("b", instructions="Do that.")])
    assert catalog.instructions_for(WHOLE) == catalog.instructions
    assert "Do that." not in (catalog.instructions_for(view(servers=("a",))) or "")
    assert "Do this." in (catalog.instructions_for(view(servers=("a",))) or "")
    assert catalog.instructions_for(NOTHING) is None
