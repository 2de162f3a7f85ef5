"""`ModelFolder`: embeddings from a folder of this machine, beside a service that answers everything else.

The folder holds a static model of model2vec (`model.safetensors`, `tokenizer.json`), the extra `vectors`. Nothing is
downloaded, and nothing leaves the machine. Its vectors are made faster than a cache would find them.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread

from mcp_gateway.errors import ModelRefused
from mcp_gateway.llm.messages import LLMChunk, LLMResponse, Request
from mcp_gateway.llm.service import LLMService

INSTALL = "pip install 'mcp-gateway-server[vectors]'"


class ModelFolder(LLMService):
    """`service`, which is given and closed with this, and the model of `folder`, which is loaded when it is needed."""

    def __init__(self, service: LLMService, folder: Path) -> None:
        super().__init__(service.settings)
        self.mode = service.mode
        self.capabilities = replace(service.capabilities, embeddings=True)
        self._service = service
        self._folder = folder
        self._model: Any = None
        self._loading = anyio.Lock()

    @property
    def model(self) -> str:
        return self._service.model

    async def complete(self, request: Request) -> LLMResponse:
        return await self._service.complete(request)

    def stream(self, request: Request) -> AsyncGenerator[LLMChunk, None]:
        return self._service.stream(request)

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Raises ModelRefused: there is no such model, or nothing to read it with."""
        await self.prepare()
        encode = partial(self._model.encode, list(texts), use_multiprocessing=False)
        vectors: list[list[float]] = (await anyio.to_thread.run_sync(encode)).tolist()
        return vectors

    async def prepare(self) -> None:
        """Load the model. Raises ModelRefused."""
        async with self._loading:
            if self._model is None:
                self._model = await anyio.to_thread.run_sync(_load, self._folder)

    async def aclose(self) -> None:
        await self._service.aclose()


def _load(folder: Path) -> Any:
    """The name of anything but a folder would be looked for on the network, so the folder comes first."""
    if not folder.is_dir():
        raise ModelRefused(f"llm.embedding_model: there is no folder {folder.name!r} where it leads")
    try:
        model2vec = import_module("model2vec")
    except ImportError:
        raise ModelRefused(f"llm.embedding_model: a folder is read with model2vec; {INSTALL}") from None
    try:
        return model2vec.StaticModel.from_pretrained(folder, force_download=False)
    except Exception as broken:  # boundary: the package raises whatever its readers do
        raise ModelRefused(
            f"llm.embedding_model: the folder {folder.name!r} holds no model of model2vec ({type(broken).__name__})"
        ) from broken
