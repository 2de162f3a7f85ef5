"""Exposed names, through the catalog that gives them out."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mcp_gateway.catalog import Catalog, Code, ExposeRules, Kind, Prefix, ServerRules
from mcp_gateway.catalog.names import RESERVED, Namer, digest, fold, slug, slugs

from tests.catalog.offers import codes, exposed, offer, tool

EXPOSED = re.compile(r"[A-Za-z0-9_-]{1,48}")
COLLISION = ExposeRules(prefix=Prefix.COLLISION)
NEVER = ExposeRules(prefix=Prefix.NEVER)

NAMES = st.text(alphabet=st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=70)
ASCII_NAMES = st.text(alphabet="ab_-.A", min_size=1, max_size=6)
OFFERS = st.dictionaries(
    st.text(min_size=1, max_size=30) | ASCII_NAMES, st.lists(NAMES | ASCII_NAMES, unique=True, max_size=6), max_size=5
)


def build(offered: dict[str, list[str]], expose: ExposeRules | None = None) -> Catalog:
    return Catalog.build([offer(server, tools=names) for server, names in offered.items()], expose=expose)


@pytest.mark.parametrize(
    ("server", "expected"),
    [
        ("time", "time"),
        ("my server", "my_server"),
        ("a__b", "a_b"),
        ("_x_", "x"),
        ("@scope/pkg-name", "scope_pkg-name"),
        ("ＧＨ", "GH"),
    ],
)
def test_slugs_of_servers(server: str, expected: str) -> None:
    assert slug(server) == expected


def test_a_name_without_letters_gets_a_stable_slug() -> None:
    assert slug("天气") == f"server_{digest('天气')}"
    assert slug("---") == f"server_{digest('---')}"


def test_a_long_slug_is_shortened_with_a_hash() -> None:
    assert slug("a-rather-long-server-name") == f"a-rather-lo_{digest('a-rather-long-server-name')}"


def test_colliding_slugs_get_a_suffix_and_the_first_stays_plain() -> None:
    given = slugs(["my server", "my_server", "My-Server", "MY_SERVER"], {})
    assert given["my server"] == "my_server"
    assert given["my_server"] == f"my_server_{digest('my_server')}"
    assert given["My-Server"] == "My-Server"
    assert len({fold(name) for name in given.values()}) == 4


def test_a_suffixed_slug_that_is_taken_gets_another() -> None:
    taken = f"x_{digest('X')}"
    assert slugs(["x", taken, "X"], {})["X"] == f"x_{digest('X', '2')}".replace("x_", "X_", 1)


def test_a_configured_prefix_replaces_the_servers_name() -> None:
    catalog = Catalog.build([offer("github", tools=["star"])], {"github": ServerRules(prefix="gh")})
    assert exposed(catalog) == ["gh__star"]
    assert catalog.find(Kind.TOOL, "gh__star") == catalog.entries(Kind.TOOL)[0].route


def test_prompts_have_names_of_their_own() -> None:
    catalog = Catalog.build([offer("s", tools=["x"], prompts=["x"])])
    assert exposed(catalog) == exposed(catalog, Kind.PROMPT) == ["s__x"]


@pytest.mark.parametrize(
    ("name", "expected"), [("a.b", "s__a_b"), ("a/b", "s__a_b"), ("été", "s___t_"), ("ｆｉ", "s__fi")]
)
def test_odd_characters_are_replaced(name: str, expected: str) -> None:
    assert exposed(build({"s": [name]})) == [expected]


def test_a_name_without_any_usable_character_becomes_its_hash() -> None:
    assert exposed(build({"s": ["天气"]})) == [f"s__{digest('s', '天气')}"]


def test_a_long_name_is_shortened_with_a_stable_hash() -> None:
    (name,) = exposed(build({"s": ["t" * 60]}))
    assert name == "s__" + "t" * 36 + "_" + digest("s", "t" * 60)
    assert len(name) == 48


def test_the_later_of_two_alike_names_gets_a_hash_and_is_reported() -> None:
    catalog = build({"s": ["a.b", "a_b", "A_B"]})
    assert exposed(catalog) == ["s__a_b", f"s__a_b_{digest('s', 'a_b')}", f"s__A_B_{digest('s', 'A_B')}"]
    assert codes(catalog) == [Code.NAME_COLLISION, Code.NAME_COLLISION]


def test_an_imitated_hash_does_not_help_an_imitator() -> None:
    forged = f"a_b_{digest('s', 'a.b')}"
    names = exposed(build({"s": ["a_b", forged, "a.b"]}))
    assert names[2] == f"s__a_b_{digest('s', 'a.b', '2')}"


def test_r_name_1_a_siblings_exposed_name_cannot_be_taken() -> None:
    assert exposed(build({"bad": ["good__echo"], "good": ["echo"]})) == ["bad__good__echo", "good__echo"]


def test_a_rename_goes_by_the_same_rules() -> None:
    rules = {"s": ServerRules(rename={"a": "new.name", "b": "new_name"})}
    catalog = Catalog.build([offer("s", tools=["a", "b"])], rules)
    assert exposed(catalog) == ["s__new_name", f"s__new_name_{digest('s', 'b')}"]
    assert [entry.route.name for entry in catalog.entries(Kind.TOOL)] == ["a", "b"]


RENAMED_TO_WRITE = {"s": ServerRules(rename={"create": "write"})}


def test_a_tool_keeps_its_name_from_one_that_is_renamed_to_it() -> None:
    catalog = Catalog.build([offer("s", tools=["create", "write"])], RENAMED_TO_WRITE)
    assert {entry.route.name: entry.route.exposed for entry in catalog.entries(Kind.TOOL)} == {
        "create": f"s__write_{digest('s', 'create')}",
        "write": "s__write",
    }
    assert [(problem.code, problem.name) for problem in catalog.problems] == [(Code.NAME_COLLISION, "create")]


def test_a_rename_to_an_existing_name_leaves_the_order_of_the_listing() -> None:
    catalog = Catalog.build([offer("s", tools=["create", "write"])], RENAMED_TO_WRITE)
    assert [entry.route.name for entry in catalog.entries(Kind.TOOL)] == ["create", "write"]


def test_a_rename_may_take_the_name_of_a_tool_that_is_left_out_or_renamed_itself() -> None:
    left_out = {"s": ServerRules(rename={"create": "write"}, exclude=("write",))}
    swapped = {"s": ServerRules(rename={"create": "write", "write": "create"})}
    offers = [offer("s", tools=["create", "write"])]
    assert exposed(Catalog.build(offers, left_out)) == ["s__write"]
    assert exposed(Catalog.build(offers, swapped)) == ["s__write", "s__create"]


def test_without_prefixes_a_tool_that_is_renamed_to_an_existing_name_is_left_out() -> None:
    catalog = Catalog.build([offer("s", tools=["create", "write"])], RENAMED_TO_WRITE, NEVER)
    assert [entry.route.name for entry in catalog.entries(Kind.TOOL)] == ["write"]
    assert codes(catalog) == [Code.NAME_COLLISION]


def test_in_collision_mode_a_rename_to_an_existing_name_stays_behind_it_in_every_build() -> None:
    offers = [offer("s", tools=["create", "write"])]
    first = Catalog.build(offers, RENAMED_TO_WRITE, COLLISION)
    again = Catalog.build(offers, RENAMED_TO_WRITE, ExposeRules(prefix=Prefix.COLLISION, sticky=first.sticky))
    assert exposed(first) == exposed(again) == ["s__write", "write"]


def test_in_collision_mode_only_the_newcomer_is_prefixed() -> None:
    catalog = build({"a": ["read", "only"], "b": ["READ", "other"]}, COLLISION)
    assert exposed(catalog) == ["read", "only", "b__READ", "other"]
    assert codes(catalog) == [Code.NAME_COLLISION]


def test_in_collision_mode_reserved_and_imitating_names_are_prefixed() -> None:
    catalog = build({"bad": ["search", "good__echo", "bad__x", "odd__y"], "good": []}, COLLISION)
    assert exposed(catalog) == ["bad__search", "bad__good__echo", "bad__x", "odd__y"]


def test_a_name_once_exposed_stays_with_its_owner() -> None:
    before = build({"a": ["read"]}, COLLISION)
    now = ExposeRules(prefix=Prefix.COLLISION, sticky=before.sticky)
    assert exposed(build({"b": ["read"], "a": ["read"]}, now)) == ["b__read", "read"]
    assert exposed(build({"b": ["read"]}, now)) == ["b__read"]


def test_a_newcomer_keeps_its_prefix_when_the_first_owner_is_gone() -> None:
    before = build({"a": ["read"], "b": ["read"]}, COLLISION)
    assert before.sticky == {(Kind.TOOL, "a", "read"): "read", (Kind.TOOL, "b", "read"): "b__read"}
    only_b = {key: name for key, name in before.sticky.items() if key[1] == "b"}
    assert exposed(build({"b": ["read"]}, ExposeRules(prefix=Prefix.COLLISION, sticky=only_b))) == ["b__read"]


@pytest.mark.parametrize("kept", ["search", "", "a b", "x" * 49])
def test_a_sticky_name_that_breaks_the_rules_is_ignored(kept: str) -> None:
    rules = ExposeRules(prefix=Prefix.COLLISION, sticky={(Kind.TOOL, "a", "read"): kept})
    assert exposed(build({"a": ["read"]}, rules)) == ["read"]


def test_other_modes_have_no_sticky_names() -> None:
    assert build({"a": ["read"]}).sticky == {}


def test_without_prefix_a_later_servers_prompt_is_left_out_too() -> None:
    catalog = Catalog.build([offer("a", prompts=["p"]), offer("b", prompts=["p", "search"])], expose=NEVER)
    assert exposed(catalog, Kind.PROMPT) == ["p", "search"]
    assert [(p.server, p.code) for p in catalog.problems] == [("b", Code.NAME_COLLISION)]


def test_never_passes_names_through_and_keeps_the_first() -> None:
    catalog = build({"a": ["x.y/z", "dup"], "b": ["DUP", "own"]}, NEVER)
    assert exposed(catalog) == ["x.y/z", "dup", "own"]
    assert [(p.server, p.name, p.code) for p in catalog.problems] == [("b", "DUP", Code.NAME_COLLISION)]


@pytest.mark.parametrize("mode", list(Prefix))
@pytest.mark.parametrize("name", [*sorted(RESERVED), "Ask", "ｓｅａｒｃｈ", "EXECUTE"])
def test_r_name_1_no_upstream_produces_a_built_ins_name(mode: Prefix, name: str) -> None:
    names = exposed(build({"s": [name]}, ExposeRules(prefix=mode)))
    assert not {fold(exposed_name) for exposed_name in names} & RESERVED


def test_a_built_ins_own_name_is_taken_too() -> None:
    catalog = Catalog.build([offer("a", tools=["extra"])], expose=NEVER, builtins=[tool("extra")])
    assert exposed(catalog) == ["extra"]
    assert codes(catalog) == [Code.NAME_COLLISION]


@settings(max_examples=60, deadline=None)
@given(OFFERS, st.sampled_from([Prefix.ALWAYS, Prefix.COLLISION]))
def test_every_tool_gets_one_lawful_name_of_its_own(offered: dict[str, list[str]], mode: Prefix) -> None:
    catalog = build(offered, ExposeRules(prefix=mode))
    names = exposed(catalog)
    kept = sum(len(offer(server, tools=tools).tools) for server, tools in offered.items())
    assert len(names) == kept == len({fold(name) for name in names})
    assert all(EXPOSED.fullmatch(name) for name in names)
    assert not {fold(name) for name in names} & RESERVED
    assert [catalog.find(Kind.TOOL, name) for name in names] == [e.route for e in catalog.entries(Kind.TOOL)]


@settings(max_examples=60, deadline=None)
@given(OFFERS, st.text(min_size=1, max_size=30), st.lists(NAMES, unique=True, max_size=6))
def test_a_server_added_at_the_end_renames_nobody(offered: dict[str, list[str]], server: str, tools: list[str]) -> None:
    offered.pop(server, None)
    before = exposed(build(offered))
    assert exposed(build({**offered, server: tools}))[: len(before)] == before


def test_a_namer_holds_sticky_names_for_their_owners() -> None:
    rules = ExposeRules(prefix=Prefix.COLLISION, sticky={(Kind.TOOL, "a", "read"): "read"})
    namer = Namer(rules, {"a": "a", "b": "b"})
    assert namer.name(Kind.TOOL, "b", "read", "read") == ("b__read", True)
    assert namer.name(Kind.TOOL, "a", "read", "read") == ("read", False)
