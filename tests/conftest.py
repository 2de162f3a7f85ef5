"""What every test may ask for."""

import pytest


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """The gateway runs on asyncio: its wires are asyncio protocols."""
    return "asyncio"
