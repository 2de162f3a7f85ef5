"""A door at which people with less than everything may be tried."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest

from tests.downstream.rest.people import AUTH, client_of
from tests.interaction.house import house


@pytest.fixture
async def people(tmp_path: Path) -> AsyncIterator[httpx2.AsyncClient]:
    """The owner of a gateway, or whoever a request's headers name."""
    async with house(tmp_path, auth=AUTH) as home, client_of(home) as client:
        yield client
