"""The doors: a test that asks for `connect` runs once for each."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from mcp import Client

from tests.interaction.house import Door, House, house

Connect = Callable[..., Client]


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[House]:
    """A gateway in front of a legacy `Everything`."""
    async with house(tmp_path) as running:
        yield running


@pytest.fixture(params=list(Door), ids=lambda door: door.name.lower())
def door(request: pytest.FixtureRequest) -> Door:
    door: Door = request.param
    return door


@pytest.fixture
def connect(home: House, door: Door) -> Connect:
    """Comes in through the door; takes the options of `mcp.Client`."""

    def client(**options: Any) -> Client:
        return home.client(door, **options)

    return client
