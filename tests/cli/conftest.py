"""Gateways that the commands meet."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest

from tests.cli.command import tool_box
from tests.gateway import Gateway


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Generator[Path, None, None]:
    """A folder whose `gateway.yaml` is being served; its server `box` has every odd tool."""
    folder = tmp_path_factory.mktemp("served")
    with Gateway(folder, {"mcpServers": {"box": tool_box()}}) as gateway:
        gateway.wait_for_servers()
        yield folder
