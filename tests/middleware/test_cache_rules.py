"""Which calls may be answered from the cache: decision 1 of the design, row by row."""

from __future__ import annotations

from typing import Any

import pytest
from mcp_gateway.cache import Scope, Use
from mcp_gateway.call import Call, Client
from mcp_gateway.catalog import Catalog, Kind, Offer, read_pages
from mcp_gateway.middleware.cache_rules import CacheRules, Caching
from mcp_gateway.security.principal import Principal
from mcp_gateway.wire import Raw, encode

READ_ONLY = {"readOnlyHint": True}
SAFE = {"readOnlyHint": True, "idempotentHint": True}


def catalog(**annotations: Any) -> Catalog:
    """A server `up` with a tool for each name, and one prompt."""
    tools = [
        {"name": name, "inputSchema": {"type": "object"}, "annotations": hints} for name, hints in annotations.items()
    ]
    parts = (
        read_pages(Kind.TOOL, "up", [Raw(encode({"tools": tools}))]),
        read_pages(Kind.PROMPT, "up", [Raw(encode({"prompts": [{"name": "greet"}]}))]),
    )
    return Catalog.build((Offer("up", "2025-11-25", parts),), builtins=[{"name": "sysinfo", "annotations": SAFE}])


def call(built: Catalog, name: str, method: str = "tools/call") -> Call:
    kind = Kind.TOOL if method == "tools/call" else Kind.PROMPT
    return Call(method, {"name": name}, Client("c"), route=built.find(kind, name))


def modern(server: str) -> bool:
    return True


@pytest.mark.parametrize(
    ("caching", "hints", "use"),
    [
        (Caching(), SAFE, Use.PASS),
        (Caching(), READ_ONLY, Use.PASS),
        (Caching(), {}, Use.WRITE),
        (Caching(auto=True), SAFE, Use.KEEP),
        (Caching(auto=True), READ_ONLY, Use.PASS),
        (Caching(auto=True), {"idempotentHint": True}, Use.WRITE),
        (Caching(tools=("t*",)), {}, Use.KEEP),
        (Caching(tools=("other",)), {}, Use.WRITE),
        (Caching(tools=("other",)), SAFE, Use.PASS),
    ],
)
def test_a_tool_is_kept_only_where_the_file_or_both_hints_say_so(
    caching: Caching, hints: dict[str, bool], use: Use
) -> None:
    built = catalog(tool=hints)
    rule = CacheRules({"up": caching}, lambda: built, modern)(call(built, "up__tool"))
    assert rule is not None
    assert rule.use is use


def test_a_rule_carries_how_long_its_answers_are_good_and_how_long_they_may_be_stale() -> None:
    built = catalog(tool={})
    rule = CacheRules({"up": Caching(("*",), ttl_s=7, stale_s=60)}, lambda: built, modern)(call(built, "up__tool"))
    assert rule is not None
    assert (rule.ttl_s, rule.stale_s) == (7, 60)


def test_a_builtin_is_never_kept() -> None:
    built = catalog(tool=SAFE)
    assert CacheRules({}, lambda: built, modern)(call(built, "sysinfo")) is None


def test_a_method_without_a_name_is_never_kept() -> None:
    built = catalog(tool=SAFE)
    assert CacheRules({}, lambda: built, modern)(Call("vendor/x", {}, Client("c"))) is None


def test_completions_are_never_kept() -> None:
    built = catalog(tool=SAFE)
    asked = call(built, "up__greet", "completion/complete")
    assert CacheRules({"up": Caching(auto=True)}, lambda: built, modern)(asked) is None


def test_a_prompt_is_kept_for_as_long_as_the_upstream_says() -> None:
    built = catalog(tool=SAFE)
    rule = CacheRules({"up": Caching(credential="c", scope=Scope.SESSION)}, lambda: built, modern)(
        call(built, "up__greet", "prompts/get")
    )
    assert rule is not None
    assert (rule.use, rule.ttl_s, rule.credential, rule.scope) == (Use.KEEP, None, "c", Scope.SESSION)


def test_what_a_legacy_server_reads_is_never_kept() -> None:
    built = catalog(tool=SAFE)
    rules = CacheRules({"up": Caching(auto=True)}, lambda: built, lambda server: False)
    assert rules(call(built, "up__greet", "prompts/get")) is None


def test_a_changed_definition_is_another_rule() -> None:
    first, second = catalog(tool=SAFE), catalog(tool=SAFE | {"title": "new"})
    now = first
    rules = CacheRules({"up": Caching(auto=True)}, lambda: now, modern)
    before = rules(call(first, "up__tool"))
    now = second
    after = rules(call(second, "up__tool"))
    assert before is not None
    assert after is not None
    assert before.definition != after.definition


def test_a_changed_configuration_counts_at_once() -> None:
    built = catalog(tool=SAFE)
    rules = CacheRules({}, lambda: built, modern)
    before = rules(call(built, "up__tool"))
    rules.configure({"up": Caching(auto=True, ttl_s=7.0)})
    after = rules(call(built, "up__tool"))
    assert before is not None
    assert after is not None
    assert (before.use, after.use, after.ttl_s) == (Use.PASS, Use.KEEP, 7.0)


def test_what_is_each_principals_own_is_kept_apart_and_not_at_all_while_nobody_knows_whose_it_is() -> None:
    built = catalog(tool=SAFE, other={})
    owners = {"ann": "a", "bob": "b"}
    rules = CacheRules(
        {"up": Caching(auto=True, credential="c", owner=lambda principal: owners.get(principal, ""))},
        lambda: built,
        modern,
    )

    def rule(principal: str, name: str) -> tuple[Use, str]:
        client = Client("c", principal=Principal(principal))
        found = rules(Call("tools/call", {}, client, route=built.find(Kind.TOOL, name)))
        assert found is not None
        return found.use, found.credential

    assert [rule(who, "up__tool") for who in ("ann", "bob", "eve")] == [
        (Use.KEEP, "c a"),
        (Use.KEEP, "c b"),
        (Use.PASS, "c"),
    ]
    assert rule("eve", "up__other")[0] is Use.WRITE


def legacy(server: str) -> bool:
    return False


def test_where_nothing_is_kept_one_write_makes_all_dead_and_the_next_cost_nothing() -> None:
    built = catalog(tool={})
    rules = CacheRules({}, lambda: built, legacy)
    first, second = (rules(call(built, "up__tool")) for _ in range(2))

    assert (first is not None and first.use, second) == (Use.WRITE, None)


def test_a_write_counts_again_once_the_file_has_said_what_is_kept() -> None:
    built = catalog(tool={})
    rules = CacheRules({}, lambda: built, legacy)
    rules(call(built, "up__tool"))
    rules.configure({})

    again = rules(call(built, "up__tool"))

    assert again is not None
    assert again.use is Use.WRITE


@pytest.mark.parametrize("caching", [Caching(auto=True), Caching(tools=("other",))])
def test_every_write_counts_where_tools_are_kept(caching: Caching) -> None:
    built = catalog(tool={})
    rules = CacheRules({"up": caching}, lambda: built, legacy)

    assert [rule and rule.use for rule in (rules(call(built, "up__tool")) for _ in range(2))] == [Use.WRITE] * 2
