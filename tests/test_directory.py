"""The merged view: built when it is asked for, announced once for changes that come together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from mcp_gateway.catalog import ExposeRules, Kind
from mcp_gateway.catalog.rules import Prefix
from mcp_gateway.directory import Surface
from mcp_gateway.events import CatalogChanged, Event
from mcp_gateway.showcase import Profile, ShowRules

from tests.interaction.asking import until
from tests.interaction.house import House, house


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[House]:
    async with house(tmp_path) as running:
        yield running


class Announced:
    """The kinds that every announcement named, in order."""

    def __init__(self, home: House) -> None:
        self.kinds: list[frozenset[str]] = []
        home.app.events.subscribe(self._hear)

    def _hear(self, event: Event) -> None:
        if isinstance(event, CatalogChanged):
            self.kinds.append(event.kinds)


async def test_changed_rules_hold_at_once_and_are_announced_once(home: House) -> None:
    gateway = home.app.gateway
    await until(lambda: gateway.catalog.find(Kind.TOOL, "up__echo"))
    announced = Announced(home)
    gateway.configure(Surface(expose=ExposeRules(max_name=20), show=ShowRules()))
    gateway.configure(Surface(expose=ExposeRules(prefix=Prefix.NEVER)))
    assert gateway.catalog.find(Kind.TOOL, "echo") is not None
    assert gateway.catalog.find(Kind.TOOL, "up__echo") is None

    await until(lambda: announced.kinds)
    assert "tools" in announced.kinds[0]
    assert len(announced.kinds) == 1


async def test_changed_profiles_are_announced_although_the_catalog_is_the_same(home: House) -> None:
    gateway, announced = home.app.gateway, Announced(home)
    catalog = gateway.catalog
    gateway.configure(Surface(show=ShowRules(profiles={"team": Profile()})))

    await until(lambda: frozenset({"tools", "prompts", "resources"}) in announced.kinds)
    assert gateway.catalog.entries(Kind.TOOL) == catalog.entries(Kind.TOOL)
