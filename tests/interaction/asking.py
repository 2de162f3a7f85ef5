"""What tests ask through an SDK client in the words of the protocol, where its own methods warn or say too little."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio
import mcp_types as types
from mcp import Client
from mcp.shared.exceptions import MCPError


class Vendor(types.Request[types.RequestParams, str]):
    """A request of a method no specification names."""

    method: str
    params: types.RequestParams = types.RequestParams()


class Anything(types.Result):
    """A result with whatever members came."""

    model_config = types.Result.model_config | {"extra": "allow"}


async def until(reached: Callable[[], object], within_s: float = 5) -> None:
    """Wait for what nothing announces: it is looked at again and again."""
    with anyio.fail_after(within_s):
        while not reached():  # noqa: ASYNC110 - there is no event to wait for
            await anyio.sleep(0.01)


async def ask(client: Client, method: str) -> dict[str, Any]:
    answer = await client.session.send_request(Vendor(method=method), Anything)
    return answer.model_dump(by_alias=True, exclude={"meta", "result_type"}, exclude_none=True)


async def set_level(client: Client, level: types.LoggingLevel) -> None:
    request = types.SetLevelRequest(params=types.SetLevelRequestParams(level=level))
    await client.session.send_request(request, types.EmptyResult)


async def subscribe(client: Client, uri: str) -> None:
    request = types.SubscribeRequest(params=types.SubscribeRequestParams(uri=uri))
    await client.session.send_request(request, types.EmptyResult)


async def unsubscribe(client: Client, uri: str) -> None:
    request = types.UnsubscribeRequest(params=types.UnsubscribeRequestParams(uri=uri))
    await client.session.send_request(request, types.EmptyResult)


def text_of(result: types.CallToolResult) -> str:
    (block,) = result.content
    assert isinstance(block, types.TextContent)
    return block.text


def error_of(refused: MCPError) -> tuple[int, str, Any]:
    return refused.error.code, refused.error.message, refused.error.data
