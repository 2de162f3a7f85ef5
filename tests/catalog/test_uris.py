"""Whose URI is it?"""

from __future__ import annotations

from mcp_gateway.catalog import Catalog, Code, Kind, Offer, Route, SeenUris, ServerRules
from mcp_gateway.catalog.names import digest
from mcp_gateway.wire import Raw

from tests.catalog.offers import codes, exposed, listed, offer


def owner(catalog: Catalog, uri: str, seen: SeenUris | None = None) -> tuple[str | None, str] | None:
    route = catalog.owner(uri, seen)
    return None if route is None else (route.server, route.name)


def test_uris_pass_through_to_their_server() -> None:
    catalog = Catalog.build([offer("a", resources=["x://1"]), offer("b", resources=["x://2"])])
    assert exposed(catalog, Kind.RESOURCE) == ["x://1", "x://2"]
    assert owner(catalog, "x://2") == ("b", "x://2")
    assert owner(catalog, "x://3") is None
    assert catalog.find(Kind.RESOURCE, "x://1") == Route(Kind.RESOURCE, "a", "x://1", "x://1")


def test_the_later_servers_colliding_uri_is_rewritten_and_reported() -> None:
    catalog = Catalog.build([offer("a", resources=["x://1"]), offer("My_B", resources=["x://1", "x://own"])])
    assert exposed(catalog, Kind.RESOURCE) == ["x://1", "x-my-b+x://1", "x://own"]
    assert [d["uri"] for d in listed(catalog, kind=Kind.RESOURCE)] == ["x://1", "x-my-b+x://1", "x://own"]
    assert owner(catalog, "x://1") == ("a", "x://1")
    assert owner(catalog, "x-my-b+x://1") == ("My_B", "x://1")
    assert codes(catalog) == [Code.URI_COLLISION]


def test_a_rewritten_uri_that_is_taken_gets_a_hash() -> None:
    first, second = "x-b+x://1", f"x-b-{digest('b', 'x://1', '0')}+x://1"
    catalog = Catalog.build([offer("a", resources=["x://1", first, second]), offer("b", resources=["x://1"])])
    assert exposed(catalog, Kind.RESOURCE)[3] == f"x-b-{digest('b', 'x://1', '1')}+x://1"


def test_a_configured_prefix_shows_in_a_rewritten_uri() -> None:
    offers = [offer("a", resources=["x://1"]), offer("b", resources=["x://1"])]
    assert exposed(Catalog.build(offers, {"b": ServerRules(prefix="short")}), Kind.RESOURCE)[1] == "x-short+x://1"


def test_a_template_owns_the_uris_that_come_from_it() -> None:
    catalog = Catalog.build([offer("a", templates=["x://{id}"]), offer("b", templates=["y://{+path}"])])
    assert owner(catalog, "y://p/q") == ("b", "y://p/q")
    assert catalog.owner("x://7") == Route(Kind.RESOURCE, "a", "x://7", "x://7")
    assert catalog.find(Kind.TEMPLATE, "x://{id}") == Route(Kind.TEMPLATE, "a", "x://{id}", "x://{id}")


def test_colliding_templates_are_rewritten_outside_their_braces() -> None:
    catalog = Catalog.build([offer("a", templates=["x://{id}"]), offer("b", templates=["x://{id}"])])
    assert exposed(catalog, Kind.TEMPLATE) == ["x://{id}", "x-b+x://{id}"]
    assert owner(catalog, "x://7") == ("a", "x://7")
    assert owner(catalog, "x-b+x://7") == ("b", "x://7")
    assert catalog.exposed_uri("b", "x://7") == "x-b+x://7"
    assert catalog.exposed_uri("b", "y://7") == "y://7"
    assert catalog.exposed_uri("a", "x://7") == "x://7"


def test_a_listed_uri_comes_before_a_template() -> None:
    catalog = Catalog.build([offer("a", templates=["x://{id}"]), offer("b", resources=["x://1"])])
    assert owner(catalog, "x://1") == ("b", "x://1")


def test_a_malformed_template_of_a_hand_made_offer_owns_nothing() -> None:
    part = offer("a", templates=["x://{id}"]).parts[3]
    part.entries[0]["uriTemplate"] = Raw(b'"x://{"')
    catalog = Catalog.build([Offer("a", "2025-11-25", (part,))])
    assert catalog.owner("x://{") is None


def test_uris_seen_in_results_lead_to_who_showed_them() -> None:
    seen = SeenUris()
    seen.add("b", "z://1")
    seen.add("c", "z://1")
    seen.add("b", "x-b+z://2", "z://2")
    catalog = Catalog.build([offer("a")])
    assert owner(catalog, "z://1", seen) == ("b", "z://1")
    assert owner(catalog, "x-b+z://2", seen) == ("b", "z://2")
    assert owner(catalog, "z://3", seen) is None


def test_showing_a_uri_does_not_take_it_from_a_template() -> None:
    seen = SeenUris()
    seen.add("bad", "x://secret")
    catalog = Catalog.build([offer("a", templates=["x://{id}"]), offer("bad")])
    assert owner(catalog, "x://secret", seen) == ("a", "x://secret")


def test_the_least_recently_used_uri_is_forgotten() -> None:
    seen = SeenUris(max_uris=2)
    seen.add("a", "x:1")
    seen.add("a", "x:2")
    assert seen.get("x:1") is not None
    seen.add("a", "x:3")
    assert [seen.get(uri) is not None for uri in ("x:1", "x:2", "x:3")] == [True, False, True]
    assert len(seen) == 2


def test_a_removed_server_is_forgotten() -> None:
    seen = SeenUris()
    seen.add("a", "x:1")
    seen.add("b", "x:2")
    seen.forget("a")
    assert seen.get("x:1") is None
    assert len(seen) == 1
