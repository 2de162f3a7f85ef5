"""A door at which people with less than everything may be tried."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx2
import pytest

from tests.downstream.rest.people import AUTH, client_of
from tests.interaction.house import house


@pytest.fixture(scope="module")
async def people(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[httpx2.AsyncClient]:
    """The owner of a gateway, or whoever a request's headers name. One for many tests, which leave it as it was."""
    async with house(tmp_path_factory.mktemp("people"), auth=AUTH) as home, client_of(home) as client:
        yield client
