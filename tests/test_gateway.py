"""The path of a call below every door: what built-ins answer, and how a failure on the way is told."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from mcp_gateway.call import Call, Client
from mcp_gateway.revisions import LATEST_LEGACY, LATEST_MODERN
from mcp_gateway.wire import loads

from tests.interaction.house import House, house


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[House]:
    async with house(tmp_path) as running:
        yield running


def client(key: str, revision: str = LATEST_LEGACY) -> Client:
    return Client(key, revision=revision, session=key)


@pytest.mark.parametrize(("revision", "complete"), [(LATEST_LEGACY, False), (LATEST_MODERN, True)])
async def test_a_builtins_result_is_in_the_callers_revision(home: House, revision: str, complete: bool) -> None:
    call = Call("tools/call", {"name": "sysinfo", "arguments": {}}, client("a", revision))

    assert ("resultType" in loads(await home.app.gateway.route(call))) is complete


async def test_arguments_that_a_built_in_refuses_are_told_to_the_model(home: House) -> None:
    call = Call("tools/call", {"name": "sysinfo", "arguments": {"sections": ["bogus"]}}, client("a"))
    result = loads(await home.app.gateway.route(call))

    assert result["isError"] is True
    assert result["_meta"]["io.mcp-gateway/error"] == {"code": "invalid_params", "server": None}
    assert result["content"][0]["text"].startswith("sysinfo: sections.0: Input should be")
