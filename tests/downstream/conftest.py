"""A gateway in this process, with one upstream."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest

from tests.interaction.house import House, house


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[House]:
    async with house(tmp_path) as running:
        yield running


@pytest.fixture(scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """The same, for tests that neither change it nor count its calls."""
    async with house(tmp_path_factory.mktemp("shared")) as running:
        yield running


@pytest.fixture
async def http(home: House) -> AsyncIterator[httpx2.AsyncClient]:
    """A plain HTTP client whose paths are the gateway's."""
    async with httpx2.AsyncClient(base_url=home.origin, timeout=10) as client:
        yield client
