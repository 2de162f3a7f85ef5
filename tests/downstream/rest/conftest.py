"""A door at which people with less than everything may be tried."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx2
import pytest

from tests.downstream.rest.people import visited
from tests.interaction.house import House


@pytest.fixture
async def people(home: House) -> AsyncIterator[httpx2.AsyncClient]:
    """A client whose requests may name a person."""
    async with visited(home) as client:
        yield client
