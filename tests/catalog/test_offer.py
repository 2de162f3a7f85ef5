"""Offers and their parts."""

from __future__ import annotations

from mcp_gateway.catalog import Freshness, Kind, Offer, Part
from mcp_gateway.catalog.offer import freshness

from tests.catalog.offers import codes, offer


def test_an_offer_shows_its_parts_by_kind() -> None:
    given = offer("s", tools=["t"], prompts=["p"], resources=["x:1"], templates=["x:{a}"])
    assert [len(part) for part in (given.tools, given.prompts, given.resources, given.templates)] == [1, 1, 1, 1]
    assert bytes(given.resources[0]["uri"]) == b'"x:1"'


def test_problems_are_gathered_from_the_parts() -> None:
    assert len(codes(offer("s", tools=[7], prompts=[8]))) == 2


def test_nothing_offered_is_nothing_listed() -> None:
    assert Offer("s", "2025-11-25").tools == ()


def test_no_source_means_the_default() -> None:
    assert freshness((), Freshness(5, True)) == Freshness(5, True)
    assert freshness((Part(Kind.TOOL, ttl_ms=9),), Freshness(5, True)) == Freshness(9, False)
