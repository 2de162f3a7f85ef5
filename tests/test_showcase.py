"""What each client is shown: whose word on the mode counts, and what is left of a profile that is gone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from mcp_gateway.builtin import MCPFunctions, Services
from mcp_gateway.builtin.finder import finders
from mcp_gateway.call import UNSELECTED, Client, Mode, Selection
from mcp_gateway.catalog import NOTHING, WHOLE, Catalog, Filter, Kind, View
from mcp_gateway.security.principal import SCOPES, Grant, Principal
from mcp_gateway.showcase import Profile, Showcase, ShowRules

PART = View((Filter(servers=("a",)),))
RULES = ShowRules(
    mode=Mode.SEARCH,
    clients={"picky": Mode.ALL},
    profiles={"decided": Profile(PART, Mode.SEARCH), "open": Profile(PART)},
)
ALL = Selection(mode=Mode.ALL)
EMPTY = Catalog.build(())


def showcase(rules: ShowRules = RULES) -> Showcase:
    return Showcase(rules, MCPFunctions(finders(Services())))


def client(selection: Selection = UNSELECTED, *, name: object = "picky", revision: str = "2025-11-25") -> Client:
    return Client("key", revision, info={"name": name}, selection=selection)


@pytest.mark.parametrize(
    ("caller", "mode"),
    [
        (client(Selection("decided", Mode.ALL)), Mode.ALL),
        (client(Selection("decided")), Mode.SEARCH),
        (client(Selection("open")), Mode.ALL),
        (client(), Mode.ALL),
        (client(name="other"), Mode.SEARCH),
        (client(name=["picky"]), Mode.SEARCH),
        (Client("key", "2025-11-25"), Mode.SEARCH),
        (client(revision="2026-07-28"), Mode.SEARCH),
        (client(ALL, revision="2026-07-28"), Mode.ALL),
    ],
)
def test_the_nearest_word_on_the_mode_counts(caller: Client, mode: Mode) -> None:
    assert showcase().mode(caller, EMPTY) is mode


def test_auto_is_decided_by_what_the_client_may_use() -> None:
    tools = [{"name": f"tool_{number}", "inputSchema": {}} for number in range(3)]
    catalog = Catalog.build((), builtins=tools)
    few = Profile(View((Filter(tools=("tool_1",)),)))
    rules = ShowRules(max_tools=2, profiles={"few": few})
    assert showcase(rules).mode(client(), catalog) is Mode.SEARCH
    assert showcase(rules).mode(client(Selection("few")), catalog) is Mode.ALL


def test_a_profile_that_is_gone_shows_nothing() -> None:
    assert showcase().view(client(Selection("open"))) == PART
    assert showcase().view(client(Selection("gone"))) == NOTHING
    assert showcase().view(client()) is WHOLE


def test_a_key_sees_what_its_globs_its_scopes_and_its_profile_admit() -> None:
    names = ("ask", "execute", "search", "sysinfo")
    tools: list[dict[str, Any]] = [{"name": name, "inputSchema": {}} for name in names]
    routes = [entry.route for entry in Catalog.build((), builtins=tools).entries(Kind.TOOL)]

    def seen(grant: Grant, scopes: frozenset[str] = SCOPES) -> set[str]:
        view = showcase().view(replace(client(), principal=Principal("key:x", scopes, grant)))
        return {route.exposed for route in routes if view(route)}

    assert seen(Grant()) == {"ask", "execute", "search", "sysinfo"}
    assert seen(Grant(), frozenset({"read", "call"})) == {"search", "sysinfo"}
    assert seen(Grant(tools=("s*",), deny_tools=("sys*",))) == {"search"}
    assert seen(Grant(profile="gone")) == set()


def test_a_selected_profile_narrows_that_of_a_key_and_never_replaces_it() -> None:
    bound = replace(client(Selection("gone")), principal=Principal("key:x", SCOPES, Grant(profile="open")))
    assert showcase().view(bound) == NOTHING & PART


def test_the_mode_of_a_key_counts_before_its_profiles() -> None:
    keyed = replace(client(Selection("decided")), principal=Principal("key:x", SCOPES, Grant(mode="all")))
    assert showcase().mode(keyed, EMPTY) is Mode.ALL
