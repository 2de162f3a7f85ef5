"""Servers whose command does not say which version it fetches."""

from __future__ import annotations

from pathlib import Path

import httpx2
import pytest

from tests.interaction.house import gateway
from tests.interaction.requirements import shows


def fetcher(folder: Path) -> Path:
    """A stand-in for `npx` that leaves a trace and fetches nothing."""
    program = folder / "npx"
    program.write_text(f'#!/bin/sh\necho ran >> "{folder}/ran"\n')
    program.chmod(0o755)
    return program


@shows("pinned-commands")
@pytest.mark.parametrize(("spec", "state", "ran"), [("server", "disabled", False), ("server@1.2.3", "parked", True)])
async def test_r_sup_1_only_a_pinned_command_is_run_where_the_file_asks_for_it(
    tmp_path: Path, spec: str, state: str, ran: bool
) -> None:
    """R-SUP-1."""
    entry = {"command": str(fetcher(tmp_path)), "args": ["-y", spec], "restart": {"max": 0}}
    config = {"mcpServers": {"up": entry}, "security": {"require_pinned": True}}
    async with gateway(tmp_path, config) as (_, doors), httpx2.AsyncClient() as http:
        (server,) = (await http.get(f"{doors.origin}/api/v1/servers")).json()["servers"]

    assert (server["state"], (tmp_path / "ran").exists()) == (state, ran)
    assert ("write an exact version: server@1.2.3" in server["reason"]) is not ran
