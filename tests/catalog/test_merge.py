"""The user's rules, applied while offers are merged."""

from __future__ import annotations

from dataclasses import replace

import pytest
from mcp_gateway.catalog import Catalog, Code, ExposeRules, Kind, Prefix, ServerRules
from mcp_gateway.wire import Raw

from tests.catalog.offers import EMPTY_OBJECT, codes, exposed, listed, offer, tool


def test_servers_keep_the_files_order_and_tools_their_servers() -> None:
    catalog = Catalog.build([offer("z", tools=["b", "a"]), offer("a", tools=["c"])])
    assert exposed(catalog) == ["z__b", "z__a", "a__c"]


def test_built_ins_come_first_under_their_plain_names() -> None:
    builtins = [{"name": "ask", "inputSchema": Raw(b'{"type":"object"}')}, tool("search")]
    catalog = Catalog.build([offer("s", tools=["a"])], builtins=builtins)
    assert exposed(catalog) == ["ask", "search", "s__a"]
    route = catalog.find(Kind.TOOL, "ask")
    assert route is not None
    assert route.server is None


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        (ServerRules(), ["get_a", "get_b", "del_a"]),
        (ServerRules(include=()), ["get_a", "get_b", "del_a"]),
        (ServerRules(include=("get_*",)), ["get_a", "get_b"]),
        (ServerRules(exclude=("del_*", "*_b")), ["get_a"]),
        (ServerRules(include=("GET_*",)), []),
        (ServerRules(include=("get_a", "del_a"), exclude=("del_a",)), ["get_a"]),
    ],
)
def test_globs_choose_tools_by_upstream_name(rules: ServerRules, expected: list[str]) -> None:
    catalog = Catalog.build([offer("s", tools=["get_a", "get_b", "del_a"], prompts=["p"])], {"s": rules})
    assert [entry.route.name for entry in catalog.entries(Kind.TOOL)] == expected
    assert exposed(catalog, Kind.PROMPT) == ["s__p"]


def test_the_users_description_is_found_by_the_servers_own_name() -> None:
    rules = {"s": ServerRules(rename={"a": "b"}, describe={"a": "Mine."})}
    (shown,) = listed(Catalog.build([offer("s", tools=[tool("a", description="Theirs.")])], rules))
    assert shown == {"name": "s__b", "description": "Mine.", "inputSchema": EMPTY_OBJECT}


def test_a_name_in_the_rules_that_no_tool_has_is_told() -> None:
    rules = ServerRules(
        include=("get_*", "delete"),
        exclude=("no_[x]", "lis"),
        rename={"list": "all", "make": "new"},
        describe={"all": "Everything."},
        named_elsewhere={"tools.timeout": {"list": 5.0, "expotr": 60.0}, "cache.tools": ("get_?",)},
    )
    problems = Catalog.build([offer("s", tools=["list", "export"])], {"s": rules}).problems
    assert {problem.code for problem in problems} == {Code.NO_SUCH_TOOL}
    assert [(problem.text.split()[0], problem.name, problem.text.partition("; ")[2]) for problem in problems] == [
        ("tools.include", "delete", ""),
        ("tools.exclude", "lis", "did you mean 'list'?"),
        ("tools.rename", "make", ""),
        ("tools.describe", "all", ""),
        ("tools.timeout", "expotr", "did you mean 'export'?"),
    ]


def test_no_name_is_missed_before_the_tools_are_known() -> None:
    unread = replace(offer("s", prompts=["p"]), parts=offer("s", prompts=["p"]).parts[1:])
    assert Catalog.build([unread], {"s": ServerRules(exclude=("a",))}).problems == ()


def test_a_tool_that_was_left_out_is_not_missed_too() -> None:
    rules = {"s": ServerRules(exclude=("bad",))}
    assert codes(Catalog.build([offer("s", tools=[{"name": "bad"}])], rules)) == [Code.BAD_SCHEMA]


def test_the_servers_own_tools_may_be_mentioned() -> None:
    offers = [offer("a", tools=[tool("one_tool", description="Before two_tool or a__two_tool."), "two_tool"])]
    assert Catalog.build([*offers, offer("b", tools=["two_tool", "get"])]).problems == ()


def test_common_words_are_no_tools() -> None:
    offers = [offer("a", tools=[tool("x", description="Search the weather.")]), offer("b", tools=["weather", "Search"])]
    assert Catalog.build(offers).problems == ()


def test_problems_of_an_offer_are_the_catalogs_too() -> None:
    assert codes(Catalog.build([offer("s", tools=[7])])) == [Code.BAD_ENTRY]


def test_resource_names_and_prompt_arguments_are_cleaned() -> None:
    prompt = {"name": "p", "arguments": [{"name": "x", "description": "d\u202e"}]}
    resource = {"uri": "x:1", "name": "n\u200b", "icons": [{"src": "x\u200b"}]}
    catalog = Catalog.build([offer("s", prompts=[prompt], resources=[resource])])
    assert listed(catalog, kind=Kind.PROMPT)[0]["arguments"] == [{"name": "x", "description": "d"}]
    assert listed(catalog, kind=Kind.RESOURCE)[0] == {"uri": "x:1", "name": "n", "icons": [{"src": "x\u200b"}]}
    assert codes(catalog) == [Code.HIDDEN_TEXT, Code.HIDDEN_TEXT]


def test_a_smaller_name_limit_is_kept() -> None:
    catalog = Catalog.build([offer("some-server", tools=["some_tool_name"])], expose=ExposeRules(max_name=16))
    assert len(exposed(catalog)[0]) == 16


def test_a_withheld_tool_is_told_and_nobody_takes_its_name() -> None:
    offers = [offer("a", tools=["read", "write"]), offer("b", tools=["read"])]
    rules = {"a": ServerRules(withheld={"read": "changed since it was pinned"}, exclude=("write",))}
    catalog = Catalog.build(offers, rules, ExposeRules(prefix=Prefix.NEVER))

    assert exposed(catalog) == []
    assert catalog.find(Kind.TOOL, "read") is None
    assert [(item.code, item.server, item.text) for item in catalog.problems][-2:] == [
        (Code.WITHHELD, "a", "changed since it was pinned"),
        (Code.NAME_COLLISION, "b", "the tool name 'read' is taken; left out"),
    ]
