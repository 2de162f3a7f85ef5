"""Tools are found by meaning in the running gateway, while a model makes vectors, and by words while it does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
from mcp_gateway.app import App

from tests.cli.command import tool_box
from tests.fakes.openai_server import OpenAIServer, Refuses, Says, openai_server
from tests.gateway import write_config
from tests.interaction.house import gateway
from tests.interaction.requirements import shows
from tests.llm.static_model import write_model

_POLL_S = 0.02

SIESTA = "a siesta"
"""Shares no word with `The tool slow.`, and is what it does."""


def meaning(text: str) -> list[float]:
    return [1.0, 0.0] if "slow" in text or text == SIESTA else [0.0, 1.0]


def config(model: OpenAIServer) -> dict[str, Any]:
    model.embed = meaning
    return {
        "mcpServers": {"box": tool_box()},
        "tools": {"execute": {"enabled": False}},
        "llm": {"base_url": model.url, "embedding_model": "wise"},
    }


async def found(app: App, query: str) -> list[str]:
    result = await app.command_line.call_tool("search", {"query": query, "kind": "tools", "limit": 1}, None)
    return [hit["name"] for hit in result["structuredContent"]["results"]]


async def until_found(app: App, query: str, name: str) -> None:
    """Vectors announce nothing; a busy loop would starve the thread of the disk."""
    while await found(app, query) != [name]:  # noqa: ASYNC110
        await anyio.sleep(_POLL_S)


@shows("search-meaning")
async def test_a_wish_in_other_words_is_understood(tmp_path: Path) -> None:
    with anyio.fail_after(30):
        async with openai_server([Says("")]) as model, gateway(tmp_path, config(model)) as (app, _):
            await until_found(app, SIESTA, "box__slow")


@shows("search-meaning-down")
async def test_words_do_while_the_model_is_down_and_meaning_comes_with_it(tmp_path: Path) -> None:
    with anyio.fail_after(30):
        async with openai_server([Says("")]) as model:
            model.embedding_fault = Refuses(503)
            async with gateway(tmp_path, config(model)) as (app, _):
                assert await found(app, "slow") == ["box__slow"]
                assert await found(app, SIESTA) == []
                model.embedding_fault = None
                await until_found(app, SIESTA, "box__slow")


@shows("search-meaning-folder")
async def test_a_model_in_a_folder_needs_no_service(tmp_path: Path) -> None:
    write_model(tmp_path / "model", {"slow": (1.0, 0.0), "siesta": (1.0, 0.0), "tool": (0.0, 1.0)})
    tools = {"execute": {"enabled": False}}
    plain = {"mcpServers": {"box": tool_box()}, "tools": tools, "llm": {"embedding_model": "./model"}}
    with anyio.fail_after(30):
        async with gateway(tmp_path, plain) as (app, _):
            await until_found(app, SIESTA, "box__slow")


@shows("search-meaning-kept")
async def test_a_later_start_takes_its_vectors_from_the_cache(tmp_path: Path) -> None:
    """A disk that is slow at the moment is a cache that does not know: then the start after that shows it."""
    with anyio.fail_after(60):
        async with openai_server([Says("")]) as model:
            asked = [[""]]
            while asked:
                model.embedded.clear()
                async with gateway(tmp_path, config(model)) as (app, _):
                    await until_found(app, SIESTA, "box__slow")
                asked = list(model.embedded)


@shows("search-meaning")
async def test_a_model_configured_later_is_used_from_then_on(tmp_path: Path) -> None:
    with anyio.fail_after(30):
        async with openai_server([Says("")]) as model:
            plain = {**config(model), "llm": {"base_url": model.url}}
            async with gateway(tmp_path, plain) as (app, _):
                assert await found(app, SIESTA) == []
                assert model.embedded == []
                write_config(tmp_path, {"reload": {"watch": False}, **config(model)})
                assert app.reloading.reload()
                await until_found(app, SIESTA, "box__slow")
