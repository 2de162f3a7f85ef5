"""Embeddings from a folder; everything else from the service beside it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from mcp_gateway.cache import MemoryCache
from mcp_gateway.errors import ModelRefused
from mcp_gateway.llm.messages import user
from mcp_gateway.llm.model_folder import ModelFolder
from mcp_gateway.llm.providers import open_service
from mcp_gateway.llm.service import LLMService, Mode, Settings

from tests.fakes.openai_server import MODEL, Says, openai_server
from tests.llm.static_model import write_model


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_model(tmp_path / "model", {"nap": (1.0, 0.0), "sleep": (0.6, 0.8)})
    return tmp_path / "model"


def opened(folder: Path, base_url: str | None = None) -> LLMService:
    return open_service("auto", Settings(MODEL, base_url, embedding_folder=folder), MemoryCache())


async def test_a_text_has_the_vector_of_its_words(folder: Path) -> None:
    service = opened(folder)
    assert service.capabilities.embeddings
    first, second, none = await service.get_embedding(["a nap", "Sleep", "else"])
    assert first == pytest.approx([1, 0])
    assert second == pytest.approx([0.6, 0.8])
    assert none == [0, 0]
    assert await service.get_embedding("nap") == pytest.approx([1, 0])


async def test_without_a_model_that_answers_it_stays_retrieval(folder: Path) -> None:
    service = opened(folder)
    assert service.mode is Mode.RETRIEVAL
    assert "No language model" in (await service.generate_response([user("hi")])).text


async def test_answers_are_those_of_the_configured_model(folder: Path) -> None:
    async with openai_server([Says("Hello."), Says("Hello again.")]) as model:
        service = opened(folder, model.url)
        assert (service.mode, service.model) == (Mode.LLM, MODEL)
        assert (await service.generate_response([user("hi")])).text == "Hello."
        pieces = [piece async for piece in await service.generate_response([user("hello")], stream=True)]
        assert "".join(getattr(piece, "text", "") for piece in pieces[:-1]) == "Hello again."
        assert await service.get_embedding("nap") == pytest.approx([1, 0])
        assert model.embedded == []
        await service.aclose()


async def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ModelRefused, match="there is no folder 'none'"):
        await opened(tmp_path / "none").prepare()


async def test_a_folder_without_a_model_is_told(tmp_path: Path) -> None:
    with pytest.raises(ModelRefused, match="holds no model of model2vec"):
        await opened(tmp_path).prepare()


async def test_a_folder_that_comes_later_is_found(tmp_path: Path) -> None:
    service = opened(tmp_path / "model")
    with pytest.raises(ModelRefused):
        await service.prepare()
    write_model(tmp_path / "model", {"nap": (1.0, 0.0)})
    assert await service.get_embedding("nap") == pytest.approx([1, 0])


def test_a_missing_package_is_told_with_its_command(folder: Path) -> None:
    """In a process of its own, where no package can be found besides those that are loaded."""
    script = f"""
import sys, anyio
from pathlib import Path
from mcp_gateway.errors import ModelRefused
from mcp_gateway.llm.providers import open_service
from mcp_gateway.llm.service import Settings
service = open_service("auto", Settings(embedding_folder=Path({str(folder)!r})))
sys.modules["model2vec"] = None
try:
    anyio.run(service.prepare)
except ModelRefused as refused:
    print(refused.message)
"""
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert "pip install 'mcp-gateway-server[vectors]'" in told.stdout


def test_it_is_its_own_class_beside_any_service(folder: Path) -> None:
    assert isinstance(opened(folder), ModelFolder)
