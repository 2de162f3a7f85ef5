"""What each client is shown: whose word on the mode counts, and what is left of a profile that is gone."""

from __future__ import annotations

import pytest
from mcp_gateway.builtin import MCPFunctions, Services
from mcp_gateway.builtin.finder import finders
from mcp_gateway.call import UNSELECTED, Client, Mode, Selection
from mcp_gateway.catalog import NOTHING, WHOLE, Catalog, Filter, View
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
    assert showcase().view(Selection("open")) is PART
    assert showcase().view(Selection("gone")) is NOTHING
    assert showcase().view(UNSELECTED) is WHOLE
