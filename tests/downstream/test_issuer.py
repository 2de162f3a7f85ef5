"""The keys of an authorization server: fetched when needed, by one for all, and never trusted blindly."""

from __future__ import annotations

import gzip
import json
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import anyio
import pytest
from mcp_gateway.downstream.issuer import MAX_BYTES, Issuer, metadata_urls
from mcp_gateway.fetch import Fetcher
from mcp_gateway.security.jwt import KeyName

from tests.fakes.authorization_server import ISSUER, AuthorizationServer, authorization_server, jwks
from tests.fakes.clock import Clock
from tests.fakes.http_server import Request, Wire, scripted

EC = KeyName("ec", "ES256")
EC2 = KeyName("ec2", "ES256")
STRANGE = KeyName("made up", "ES256")


@dataclass
class Asking:
    """An issuer that is asked, its keys, and the time."""

    server: AuthorizationServer
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.issuer = Issuer(ISSUER, self.server.jwks_url, monotonic=self.clock)

    async def has(self, name: KeyName) -> bool:
        return await self.issuer.key(name) is not None


@pytest.fixture
async def asking() -> AsyncIterator[Asking]:
    async with authorization_server("ec") as server:
        yield Asking(server)


async def test_keys_are_fetched_once(asking: Asking) -> None:
    assert asking.server.paths == []

    assert [await asking.has(EC) for _ in range(3)] == [True] * 3
    assert asking.server.paths == ["/keys"]


async def test_all_who_need_a_key_wait_for_one_fetch(asking: Asking) -> None:
    async with anyio.create_task_group() as tasks:
        for _ in range(20):
            tasks.start_soon(asking.has, EC)
            tasks.start_soon(asking.has, STRANGE)

    assert asking.server.paths == ["/keys"]


async def test_a_new_key_is_found(asking: Asking) -> None:
    await asking.has(EC)
    asking.server.publish("ec2")
    asking.clock.advance(60)

    assert await asking.has(EC2)
    assert not await asking.has(EC), "it was withdrawn"


async def test_made_up_key_ids_are_asked_for_once_a_minute(asking: Asking) -> None:
    await asking.has(EC)
    for _ in range(121):
        assert not await asking.has(STRANGE)
        asking.clock.advance(1)

    assert len(asking.server.paths) == 3


async def test_a_withdrawn_key_ends_within_the_hour(asking: Asking) -> None:
    await asking.has(EC)
    asking.server.publish("ec2")

    asking.clock.advance(3599)
    assert await asking.has(EC)
    asking.clock.advance(1)
    assert not await asking.has(EC)


@pytest.mark.parametrize("body", [500, 404, 302, b"<html>", b'{"keys": 7}', b"x" * (MAX_BYTES + 1)], ids=repr)
async def test_known_keys_go_on_working_while_the_issuer_fails(
    asking: Asking, body: int | bytes, caplog: pytest.LogCaptureFixture
) -> None:
    await asking.has(EC)
    asking.server.bodies["/keys"] = body
    asking.clock.advance(4000)

    assert await asking.has(EC)
    assert not await asking.has(STRANGE)
    assert "oauth.keys.failed" in caplog.text
    assert "kept=1" in caplog.text
    assert asking.server.paths == ["/keys", "/keys"], "no redirect is followed, and no failure repeated at once"


async def test_an_issuer_that_was_down_at_first_is_asked_again_soon(asking: Asking) -> None:
    asking.server.bodies["/keys"] = 503
    assert not await asking.has(EC)
    asking.server.publish("ec")

    asking.clock.advance(4)
    assert not await asking.has(EC)
    asking.clock.advance(1)
    assert await asking.has(EC)


async def test_nobody_listening_is_no_key() -> None:
    async with authorization_server() as server:
        url = server.jwks_url

    assert await Issuer(ISSUER, url).key(EC) is None


async def test_known_keys_do_not_wait_for_a_slow_issuer() -> None:
    asked, released = anyio.Event(), anyio.Event()

    async def script(request: Request, wire: Wire) -> None:
        if len(server.requests) > 1:
            asked.set()
            await released.wait()
        await wire.whole(200, jwks("ec"))

    async with scripted(script) as server:
        clock = Clock()
        issuer = Issuer(ISSUER, f"http://127.0.0.1:{server.port}/keys", monotonic=clock)
        await issuer.key(EC)
        clock.advance(4000)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(issuer.key, EC)
            with anyio.fail_after(5):
                await asked.wait()
                assert await issuer.key(EC) is not None
            released.set()


async def test_a_silent_issuer_is_waited_for_a_few_seconds_in_all() -> None:
    async def script(request: Request, wire: Wire) -> None:
        await anyio.sleep_forever()

    async with scripted(script) as server:
        issuer = Issuer(f"http://127.0.0.1:{server.port}", timeout_s=0.2)
        with anyio.fail_after(5):
            assert await issuer.key(EC) is None


async def test_a_caller_that_leaves_spoils_nothing_for_the_next() -> None:
    asked, released = anyio.Event(), anyio.Event()

    async def script(request: Request, wire: Wire) -> None:
        asked.set()
        if len(server.requests) == 1:
            await released.wait()
        await wire.whole(200, jwks("ec"))

    async with scripted(script) as server:
        issuer = Issuer(ISSUER, f"http://127.0.0.1:{server.port}/keys")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(issuer.key, EC)
            with anyio.fail_after(5):
                await asked.wait()
            tasks.cancel_scope.cancel()
        released.set()

        assert await issuer.key(EC) is not None


async def test_a_compressed_set_is_not_inflated(asking: Asking) -> None:
    async def script(request: Request, wire: Wire) -> None:
        await wire.whole(200, gzip.compress(jwks("ec")), content_encoding="gzip")

    async with scripted(script) as server:
        assert await Issuer(ISSUER, f"http://127.0.0.1:{server.port}/keys").key(EC) is None


@pytest.mark.parametrize(
    "url", ["http://issuer.example/keys", "http://10.0.0.1/keys", "file:///etc/passwd", "/keys", ""]
)
async def test_keys_come_over_https_or_from_this_machine(url: str, caplog: pytest.LogCaptureFixture) -> None:
    assert await Issuer("http://issuer.example", url or None).key(EC) is None
    assert "neither https nor this machine's" in caplog.text


async def test_a_metadata_service_is_never_asked(caplog: pytest.LogCaptureFixture) -> None:
    async def resolver(host: str, port: int) -> list[str]:
        return ["169.254.169.254"]

    issuer = Issuer(ISSUER, "https://keys.example/", Fetcher(MAX_BYTES, {}, resolver))

    assert await issuer.key(EC) is None
    assert "never called" in caplog.text


@pytest.mark.parametrize(
    "path",
    [
        "/.well-known/oauth-authorization-server/tenant",
        "/.well-known/openid-configuration/tenant",
        "/tenant/.well-known/openid-configuration",
    ],
)
async def test_the_issuer_says_where_its_keys_are(path: str) -> None:
    async with authorization_server("ec") as server:
        issuer = f"{server.origin}/tenant"
        server.bodies[path] = json.dumps({"issuer": issuer, "jwks_uri": server.jwks_url}).encode()

        assert await Issuer(issuer).key(EC) is not None
        assert server.paths[-2:] == [path, "/keys"]


@pytest.mark.parametrize(
    "metadata",
    [
        {"issuer": "https://evil.example", "jwks_uri": "{keys}"},
        {"issuer": "{issuer}"},
        {"issuer": "{issuer}", "jwks_uri": 7},
        {"issuer": "{issuer}", "jwks_uri": "http://issuer.example/keys"},
        {"issuer": "{issuer}", "jwks_uri": "http://[/keys"},
        [],
    ],
    ids=str,
)
async def test_metadata_that_does_not_fit_gives_no_key(metadata: object, caplog: pytest.LogCaptureFixture) -> None:
    async with authorization_server("ec") as server:
        text = json.dumps(metadata).replace("{keys}", server.jwks_url).replace("{issuer}", server.origin)
        server.bodies["/.well-known/oauth-authorization-server"] = text.encode()
        with caplog.at_level(logging.WARNING):
            assert await Issuer(server.origin).key(EC) is None

    assert "oauth.keys.failed" in caplog.text
    assert "/keys" not in server.paths


def test_metadata_is_looked_for_where_the_specification_says() -> None:
    assert metadata_urls("https://issuer.example/a/") == (
        "https://issuer.example/.well-known/oauth-authorization-server/a",
        "https://issuer.example/.well-known/openid-configuration/a",
        "https://issuer.example/a/.well-known/openid-configuration",
    )
    assert metadata_urls("https://issuer.example") == (
        "https://issuer.example/.well-known/oauth-authorization-server",
        "https://issuer.example/.well-known/openid-configuration",
    )
