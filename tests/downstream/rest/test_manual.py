"""The examples of `docs/rest.md`, sent to a gateway with the servers that they suppose."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
from mcp_gateway.downstream.rest.table import OPERATIONS

from tests.fakes.everything import Everything
from tests.fakes.everything import http_app as everything_app
from tests.fakes.openai_server import MODEL, Says, openai_server
from tests.interaction.house import gateway, served

MANUAL = Path(__file__).parents[3] / "docs" / "rest.md"
ORIGIN = "http://127.0.0.1:8765"
EXAMPLES = re.findall(r"^curl .*$", MANUAL.read_text(encoding="utf-8"), re.MULTILINE)


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[httpx2.AsyncClient]:
    turns = [Says(calls=[("time__get_current_time", {"timezone": "Europe/Helsinki"})]), Says("Noon.")]
    async with openai_server(turns) as model, served(everything_app(Everything().server())) as demo:
        config = {
            "mcpServers": {
                "time": {"command": sys.executable, "args": ["-m", "mcp_server_time"]},
                "demo": {"type": "http", "url": f"{demo.origin}/mcp"},
            },
            "llm": {"base_url": model.url, "model": MODEL, "embedding_model": "tiny"},
            "tools": {"execute": {"enabled": False}},
        }
        async with (
            gateway(tmp_path, config) as (_, doors),
            httpx2.AsyncClient(base_url=doors.origin, timeout=20) as http,
        ):
            yield http


def request(example: str) -> tuple[str, str, str | None, dict[str, str]]:
    """Method, path, body and headers of a command line of curl."""
    words = iter(shlex.split(example)[1:])
    method, address, body, headers = "", "", None, dict[str, str]()
    for word in words:
        match word:
            case "-X":
                method = next(words)
            case "-d":
                body = next(words)
            case "-H":
                name, _, value = next(words).partition(": ")
                headers[name] = value
            case "-N":
                pass
            case _:
                address = word
    assert address.startswith(f"{ORIGIN}/api/v1/"), example
    return method or ("GET" if body is None else "POST"), address.removeprefix(ORIGIN), body, headers


async def test_every_example_works(door: httpx2.AsyncClient) -> None:
    assert len(EXAMPLES) > 10
    for example in EXAMPLES:
        method, path, body, headers = request(example)
        response = await door.request(method, path, content=body, headers=headers)
        assert response.status_code == 200, (example, response.text)
        assert '"isError":true' not in response.text, example
        streams = "-N" in shlex.split(example)
        assert ("text/event-stream" in response.headers["content-type"]) == streams, example


def test_every_operation_is_in_the_manual() -> None:
    table = MANUAL.read_text(encoding="utf-8")
    told = {f"{operation.method} {operation.path.replace(':path', '')[1:]}" for operation in OPERATIONS}

    assert {each for each in told if f"`{each}`" not in table} == set()
