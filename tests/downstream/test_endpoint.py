"""What the endpoint says of requests that no method could serve."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.from_thread import start_blocking_portal
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.interaction.house import House, house
from tests.interaction.posting import opening

Ask = Callable[[str, dict[str, Any]], Awaitable[dict[str, Any]]]


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


# -- 2026-07-28: who a client is stands in every request ---------------------------------------------------------------

REVISION = "io.modelcontextprotocol/protocolVersion"
CAPABILITIES = "io.modelcontextprotocol/clientCapabilities"
INFO = "io.modelcontextprotocol/clientInfo"
ENVELOPE = {REVISION: "2026-07-28", CAPABILITIES: {}, INFO: {"name": "by hand", "version": "0"}}

TOOL_CALL = {"name": "up__echo", "arguments": {}}
LISTEN = {"notifications": {"toolsListChanged": True}}


@asynccontextmanager
async def modern(home: House) -> AsyncIterator[Ask]:
    """Asks one modern request after the other over stdio."""
    numbers = count(1)
    async with home.lines() as (lines, write):

        async def ask(method: str, params: dict[str, Any]) -> dict[str, Any]:
            id = next(numbers)
            with anyio.fail_after(10):
                await write(line(id=id, method=method, params=params))
                async for received in lines:
                    if (answer := json.loads(received)).get("id") == id:
                        return dict(answer)
            raise AssertionError(f"no answer to {method} {params}")

        yield ask


@pytest.mark.parametrize("member", [CAPABILITIES, INFO])
@pytest.mark.parametrize("value", ["x", 7, ["sampling"], True])
@pytest.mark.parametrize(("method", "params"), [("tools/call", TOOL_CALL), ("subscriptions/listen", LISTEN)])
async def test_what_a_client_tells_of_itself_is_an_object(
    home: House, member: str, value: object, method: str, params: dict[str, Any]
) -> None:
    async with modern(home) as ask:
        await ask("server/discover", {"_meta": ENVELOPE})
        answer = await ask(method, {**params, "_meta": {**ENVELOPE, member: value}})

    assert answer["error"]["code"] == -32602
    assert f"params._meta.{member} must be an object" in answer["error"]["message"]


JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
CAPABILITY = st.dictionaries(
    st.sampled_from(["sampling", "elicitation", "roots", "extensions", "experimental", "tasks"]), JUNK, max_size=4
)
META = st.fixed_dictionaries(
    {REVISION: st.just("2026-07-28") | JUNK, CAPABILITIES: CAPABILITY | JUNK},
    optional=dict.fromkeys(
        (
            INFO,
            "io.modelcontextprotocol/logLevel",
            "progressToken",
            "traceparent",
            "tracestate",
            "baggage",
            "io.mcp-gateway/confirm",
            "io.mcp-gateway/ask-depth",
            "io.mcp-gateway/ask-trace",
        ),
        JUNK,
    ),
)
REQUESTS: list[tuple[str, dict[str, Any]]] = [
    ("tools/call", TOOL_CALL),
    ("tools/call", {"name": "up__elicit", "arguments": {}}),
    ("tools/call", {"name": "up__log", "arguments": {}}),
    ("tools/call", {"name": "up__progress", "arguments": {}}),
    ("tools/call", {"name": "sysinfo", "arguments": {}}),
    ("tools/list", {}),
    ("resources/read", {"uri": "x://none"}),
    (
        "completion/complete",
        {"ref": {"type": "ref/prompt", "name": "up__none"}, "argument": {"name": "a", "value": ""}},
    ),
    ("server/discover", {}),
]


@pytest.fixture(scope="module")
def answer_to(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str, dict[str, Any]], dict[str, Any]]]:
    """The answer to one request of many, for tests that wait for nothing: hypothesis runs plain functions only."""
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(house(tmp_path_factory.mktemp("asked"))) as home,
        portal.wrap_async_context_manager(modern(home)) as ask,
    ):
        yield lambda method, params: portal.call(ask, method, params)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(REQUESTS), META | JUNK)
def test_no_meta_is_a_fault_of_ours(
    answer_to: Callable[[str, dict[str, Any]], dict[str, Any]], request_made: tuple[str, dict[str, Any]], meta: Any
) -> None:
    method, params = request_made
    answer = answer_to(method, {**params, "_meta": meta})

    assert answer.get("error", {}).get("code") != -32603, answer
    assert "internal_error" not in json.dumps(answer.get("result")), answer
