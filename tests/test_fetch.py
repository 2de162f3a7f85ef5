"""Fetching from addresses that are not upstreams': bounded, never redirected, never to where it must not go.

`tests/builtin/providers/test_web.py` has the rest, as search providers use it.
"""

from __future__ import annotations

import pytest
from mcp_gateway.fetch import Fetcher, FetchFailed

from tests.fakes.http_server import Request, Wire, scripted


async def test_json_is_asked_for_and_nothing_compressed() -> None:
    async def script(request: Request, wire: Wire) -> None:
        await wire.json({"accept": request.header("accept"), "encoding": request.header("accept-encoding")})

    async with scripted(script) as server:
        answer = await Fetcher(1024, {}).send("GET", server.url, 5)

    assert (answer.status, answer.body) == (200, b'{"accept": "application/json", "encoding": "identity"}')


async def test_a_form_is_sent_as_a_form() -> None:
    async def script(request: Request, wire: Wire) -> None:
        await wire.json({"type": request.header("content-type"), "body": request.body.decode()})

    async with scripted(script) as server:
        answer = await Fetcher(1024, {}).send("POST", server.url, 5, form={"a": "b c&d", "e": "f"})

    assert answer.body == b'{"type": "application/x-www-form-urlencoded", "body": "a=b+c%26d&e=f"}'


@pytest.mark.parametrize(("length", "fits"), [(1024, True), (1025, False)])
async def test_an_answer_is_read_up_to_its_bound(length: int, fits: bool) -> None:
    async def script(request: Request, wire: Wire) -> None:
        await wire.whole(200, b"x" * length)

    async with scripted(script) as server:
        if fits:
            assert len((await Fetcher(1024, {}).send("GET", server.url, 5)).body) == length
        else:
            with pytest.raises(FetchFailed, match="larger than"):
                await Fetcher(1024, {}).send("GET", server.url, 5)


async def test_a_url_that_is_none_is_a_failure() -> None:
    with pytest.raises(FetchFailed, match="cannot be reached"):
        await Fetcher(1024, {}).send("GET", "http://[", 5)
