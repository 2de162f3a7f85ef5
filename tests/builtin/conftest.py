"""The sandbox of this machine, chosen once for all tests of this room."""

from __future__ import annotations

import anyio
import pytest
from mcp_gateway.sandbox.choice import SandboxChoice

from tests.support import require


@pytest.fixture(scope="session")
def made_choice() -> SandboxChoice:
    """A choice that has been made; skipped where no sandbox works."""

    async def choose() -> SandboxChoice:
        choice = SandboxChoice()
        choice.want()
        await choice.run()
        return choice

    choice = anyio.run(choose)
    require(choice.works, "no sandbox works here; python -m mcp_gateway.sandbox --self-test says why")
    return choice
