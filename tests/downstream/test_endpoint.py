"""What the endpoint says of requests that no method could serve."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.interaction.house import House, house
from tests.interaction.posting import opening


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[House]:
    async with house(tmp_path) as running:
        yield running


async def over_stdio(home: House, method: str, params: dict[str, Any]) -> dict[str, Any]:
    """The answer to one request after the handshake."""
    async with home.lines() as (lines, write):
        with anyio.fail_after(10):
            await write(line(id=1, method="initialize", params=opening()))
            await anext(lines)
            await write(line(method="notifications/initialized"))
            await write(line(id=2, method=method, params=params))
            async for received in lines:
                if (answer := json.loads(received)).get("id") == 2:
                    return dict(answer)
    raise AssertionError("no answer")


def line(**members: Any) -> bytes:
    return json.dumps({"jsonrpc": "2.0", **members}).encode()


@pytest.mark.parametrize("name", ["up__echo", "sysinfo"])
@pytest.mark.parametrize("meta", ["x", 7, [], True])
async def test_a_meta_that_is_no_object_is_the_callers_fault(home: House, name: str, meta: object) -> None:
    answer = await over_stdio(home, "tools/call", {"name": name, "arguments": {}, "_meta": meta})

    assert answer["error"]["code"] == -32602
    assert answer["error"]["data"] == {"code": "invalid_params"}
    assert "_meta must be an object" in answer["error"]["message"]


async def test_a_meta_that_is_null_is_none(home: House) -> None:
    answer = await over_stdio(home, "tools/call", {"name": "up__echo", "arguments": {}, "_meta": None})

    assert answer["result"]["structuredContent"]["echoed"] == {}
