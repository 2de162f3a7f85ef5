"""The one way to a search service: bounded, resolved once, never redirected."""

from __future__ import annotations

import gzip
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest
from mcp_gateway.builtin.providers import ProviderFailed, Web
from mcp_gateway.builtin.providers.web import MAX_BODY_BYTES

from tests.builtin.providers.services import answering, origin
from tests.fakes.certificates import Authority
from tests.fakes.http_server import Request, Wire, scripted


async def get(url: str, web: Web | None = None, timeout_s: float = 5.0) -> object:
    return (await (web or Web({})).get(url, {}, timeout_s)).json()


class FlippingResolver:
    """Answers a harmless address first, and a metadata service ever after."""

    def __init__(self) -> None:
        self.asked = 0

    async def __call__(self, host: str, port: int) -> list[str]:
        self.asked += 1
        return ["127.0.0.1"] if self.asked == 1 else ["169.254.169.254"]


async def test_a_good_answer_is_read() -> None:
    async with scripted(answering({"a": 1})) as server:
        assert await get(origin(server)) == {"a": 1}


async def test_a_name_is_resolved_once_and_that_address_is_dialled() -> None:
    resolver = FlippingResolver()
    async with scripted(answering({})) as server:
        await get(f"http://search.invalid:{server.port}/", Web({}, resolver))

    assert resolver.asked == 1
    assert server.requests[0].header("host") == f"search.invalid:{server.port}"


@pytest.mark.parametrize(
    "address", ["169.254.169.254", "fe80::1", "::ffff:169.254.169.254", "fd00:ec2::254", "100.100.100.200"]
)
async def test_a_name_that_leads_to_a_metadata_service_is_refused(address: str) -> None:
    async def resolver(host: str, port: int) -> list[str]:
        return ["127.0.0.1", address]

    with pytest.raises(ProviderFailed, match="never called"):
        await get("http://search.invalid/", Web({}, resolver))


async def test_a_metadata_address_is_not_reached_through_a_proxy_either() -> None:
    with pytest.raises(ProviderFailed, match="never called"):
        await get("http://169.254.169.254/", Web({"http_proxy": "http://127.0.0.1:9"}))


async def test_the_next_address_is_tried_when_one_refuses() -> None:
    async def resolver(host: str, port: int) -> list[str]:
        return ["127.0.0.2", "127.0.0.1"]

    async with scripted(answering({"a": 1})) as server:
        assert await get(f"http://search.invalid:{server.port}/", Web({}, resolver)) == {"a": 1}


async def test_a_redirect_is_not_followed() -> None:
    async with (
        scripted(answering({"secret": True})) as canary,
        scripted(answering({}, 302, location=origin(canary))) as server,
    ):
        with pytest.raises(ProviderFailed, match="redirect"):
            await get(origin(server))

    assert canary.requests == []


async def test_a_proxy_is_used_where_the_environment_names_one() -> None:
    async with scripted(answering({"by": "proxy"})) as proxy:
        answer = await get("http://search.invalid/x", Web({"http_proxy": origin(proxy)}))

    assert answer == {"by": "proxy"}
    assert proxy.requests[0].target == "http://search.invalid/x"


async def test_https_is_checked_against_the_name_and_not_the_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def resolver(host: str, port: int) -> list[str]:
        return ["127.0.0.1"]

    authority = Authority(tmp_path)
    pair = authority.issue("localhost and 127.0.0.1")
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(pair.cert, pair.key)
    monkeypatch.setenv("SSL_CERT_FILE", authority.ca.cert)
    web = Web({}, resolver)
    async with scripted(answering({"a": 1}), serving) as server:
        assert await get(f"https://localhost:{server.port}/", web) == {"a": 1}
        with pytest.raises(ProviderFailed, match="cannot be reached"):
            await get(f"https://search.invalid:{server.port}/", web)


async def test_an_answer_that_is_too_large_is_refused() -> None:
    async def script(request: Request, wire: Wire) -> None:
        await wire.whole(200, b" " * (MAX_BODY_BYTES + 1))

    async with scripted(script) as server:
        with pytest.raises(ProviderFailed, match="larger than 2 MiB"):
            await get(origin(server))


async def test_a_compressed_answer_is_refused_because_it_may_be_a_bomb() -> None:
    async def script(request: Request, wire: Wire) -> None:
        await wire.whole(200, gzip.compress(b"{}"), content_encoding="gzip")

    async with scripted(script) as server:
        with pytest.raises(ProviderFailed, match="compressed"):
            await get(origin(server))


@pytest.mark.parametrize("body", [b"<html>", b"", b'{"a": NaN}', b"[" * 200 + b"]" * 200, b'"\\ud800"', b"\xff"])
async def test_what_is_not_json_is_said_to_be_none(body: bytes) -> None:
    async def script(request: Request, wire: Wire) -> None:
        await wire.whole(200, body)

    async with scripted(script) as server:
        with pytest.raises(ProviderFailed, match="not JSON"):
            await get(origin(server))


async def test_a_service_that_stays_silent_is_left_in_time() -> None:
    async def script(request: Request, wire: Wire) -> None:
        await anyio.sleep_forever()

    async with scripted(script) as server:
        with anyio.fail_after(5), pytest.raises(ProviderFailed, match=r"no answer within 0\.2 s"):
            await get(origin(server), timeout_s=0.2)


async def test_a_service_that_drips_is_left_in_time() -> None:
    async def script(request: Request, wire: Wire) -> None:
        await wire.begin_events()
        while True:
            await wire.chunk(b" ")
            await anyio.sleep(0.01)

    async with scripted(script) as server:
        with anyio.fail_after(5), pytest.raises(ProviderFailed, match="no answer within"):
            await get(origin(server), timeout_s=0.3)


@pytest.fixture
async def closed_port() -> AsyncIterator[int]:
    """A port that is bound and where nobody listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


async def test_a_service_that_is_down_is_said_to_be(closed_port: int) -> None:
    with pytest.raises(ProviderFailed, match="cannot be reached"):
        await get(f"http://127.0.0.1:{closed_port}/")


async def test_a_connection_that_breaks_is_a_failure() -> None:
    async def script(request: Request, wire: Wire) -> None:
        wire.reset()

    async with scripted(script) as server:
        with pytest.raises(ProviderFailed, match="cannot be reached"):
            await get(origin(server))


async def test_a_name_that_is_not_found_is_a_failure() -> None:
    async def resolver(host: str, port: int) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "no such name")

    with pytest.raises(ProviderFailed, match="host name was not found"):
        await get("http://search.invalid/", Web({}, resolver))


async def test_a_password_in_the_address_is_sent_and_not_shown() -> None:
    async with scripted(answering({}, 404)) as server:
        await Web({}).get(f"http://me:secret@127.0.0.1:{server.port}/", {}, 5.0)

    assert server.requests[0].header("authorization") == "Basic bWU6c2VjcmV0"
    assert server.requests[0].header("host") == f"127.0.0.1:{server.port}"
