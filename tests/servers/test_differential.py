"""The gateway changes nothing that it does not have to.

The same raw request goes to an upstream directly and through the gateway, in the
handshake era. What is compared:

1. the `result` of calls, reads, prompts, completions and a vendor's method;
2. the `error` of those that fail: `code`, `message` and `data`;
3. the arguments, as the upstream saw them;
4. every entry of every listing, but for the name of a tool or prompt.

Compared is every byte of them.

Not compared: the envelope (the id is each side's own) and a listing's own members,
which the gateway writes itself.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from mcp_gateway.wire import Raw, fields, loads

from tests.fakes.odd_server import ERRORS, ODD, RESULTS, odd_http
from tests.gateway import Gateway
from tests.servers.raw import RawClient

ROOT = Path(__file__).parents[2]
SERVER = "odd"


@pytest.fixture(scope="module")
def direct() -> Iterator[RawClient]:
    with odd_http() as url, RawClient(url) as client:
        yield client


@pytest.fixture(scope="module", params=["http", "stdio"])
def relayed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RawClient]:
    """The same upstream behind a gateway, over either transport."""
    with odd_http() as url:
        program = {"command": sys.executable, "args": ["-m", "tests.fakes.odd_server"], "cwd": str(ROOT)}
        entry = {"type": "http", "url": url} if request.param == "http" else program
        config = {"mcpServers": {SERVER: entry}, "expose": {"mode": "all"}}
        with Gateway(tmp_path_factory.mktemp("gateway"), config) as gateway:
            gateway.wait_for_servers()
            with RawClient(gateway.url) as client:
                yield client


def named(prefix: str, name: str, arguments: bytes = b"{}") -> bytes:
    return b'{"name":"%b%b","arguments":%b}' % (prefix.encode(), name.encode(), arguments)


def completing(prefix: str) -> bytes:
    return (
        b'{"ref":{"type":"ref/prompt","name":"%bgreet"},"argument":{"name":"who","value":"caf\\u00e9"}}'
        % prefix.encode()
    )


REQUESTS: list[Any] = [
    pytest.param("tools/call", lambda prefix: named(prefix, "rich"), RESULTS["tools/call rich"], id="rich tool result"),
    pytest.param("tools/call", lambda prefix: named(prefix, "failing"), RESULTS["tools/call failing"], id="tool error"),
    pytest.param("prompts/get", lambda prefix: named(prefix, "greet"), RESULTS["prompts/get greet"], id="prompt"),
    pytest.param(
        "resources/read", lambda _: b'{"uri":"odd://one"}', RESULTS["resources/read odd://one"], id="resource"
    ),
    pytest.param("completion/complete", completing, RESULTS["completion/complete"], id="completion"),
    pytest.param("vendor.example/dial", lambda _: b'{"x":1.0}', RESULTS["vendor.example/dial"], id="vendor method"),
]


@pytest.mark.parametrize(("method", "params", "expected"), REQUESTS)
def test_result_is_that_of_the_upstream(
    direct: RawClient, relayed: RawClient, method: str, params: Any, expected: bytes
) -> None:
    straight = direct.result(method, params(""))
    assert straight == expected
    assert relayed.result(method, params(f"{SERVER}__")) == straight


FAILURES: list[Any] = [
    pytest.param("tools/call", lambda prefix: named(prefix, "refusing"), ERRORS["tools/call refusing"], id="tool"),
    pytest.param(
        "resources/read", lambda _: b'{"uri":"odd://gone"}', ERRORS["resources/read odd://gone"], id="resource"
    ),
    pytest.param("vendor.example/refuse", lambda _: b"{}", ERRORS["vendor.example/refuse"], id="vendor method"),
]


@pytest.mark.parametrize(("method", "params", "expected"), FAILURES)
def test_error_is_that_of_the_upstream(
    direct: RawClient, relayed: RawClient, method: str, params: Any, expected: bytes
) -> None:
    straight = direct.error(method, params(""))
    assert straight == expected
    assert relayed.error(method, params(f"{SERVER}__")) == straight


def test_arguments_reach_the_upstream_as_they_were(direct: RawClient, relayed: RawClient) -> None:
    straight = direct.result("tools/call", named("", "mirror", ODD))
    assert ODD in straight
    assert relayed.result("tools/call", named(f"{SERVER}__", "mirror", ODD)) == straight


@pytest.mark.parametrize(
    ("method", "member", "key"),
    [
        ("tools/list", "tools", "name"),
        ("prompts/list", "prompts", "name"),
        ("resources/list", "resources", "uri"),
        ("resources/templates/list", "resourceTemplates", "uriTemplate"),
    ],
)
def test_listed_entries_differ_in_the_name_alone(
    direct: RawClient, relayed: RawClient, method: str, member: str, key: str
) -> None:
    prefix = f"{SERVER}__" if key == "name" else ""
    straight = entries(direct.result(method), member, key)
    through = entries(relayed.result(method), member, key)
    assert straight
    for name, entry in straight.items():
        assert through[prefix + name] == entry


def entries(result: bytes, member: str, key: str) -> dict[str, dict[str, bytes]]:
    """A listing by name or URI: the bytes of each member of each entry but that."""
    listed = [fields(entry) for entry in msgspec.json.decode(fields(result)[member], type=list[Raw])]
    return {loads(entry[key]): {name: bytes(value) for name, value in entry.items() if name != key} for entry in listed}
