"""The model in force, and those before it."""

from __future__ import annotations

import pytest
from mcp_gateway.cache import MemoryCache
from mcp_gateway.errors import BadConfig
from mcp_gateway.llm.cached import CachedService
from mcp_gateway.llm.messages import user
from mcp_gateway.llm.models import Models
from mcp_gateway.llm.retrieval import RetrievalService
from mcp_gateway.llm.service import Settings

from tests.fakes.openai_server import MODEL, Says, openai_server


async def test_the_newest_configuration_is_in_force() -> None:
    models = Models(MemoryCache(), ttl_s=60)
    models.configure("auto", Settings())
    assert isinstance(models.current, RetrievalService)
    async with openai_server([Says("Hello.")]) as model:
        models.configure("auto", Settings(model=MODEL, base_url=model.url))
        assert isinstance(models.current, CachedService)
        assert (await models.current.generate_response([user("hi")])).text == "Hello."
        await models.aclose()


async def test_the_same_configuration_keeps_its_service() -> None:
    models = Models(MemoryCache(), ttl_s=60)
    models.configure("auto", Settings())
    before = models.current
    models.configure("auto", Settings())
    assert models.current is before
    await models.aclose()


def test_a_bad_configuration_leaves_the_old_one_in_force() -> None:
    models = Models(MemoryCache(), ttl_s=60)
    models.configure("auto", Settings())
    before = models.current
    with pytest.raises(BadConfig):
        models.configure("no.such:Model", Settings())
    assert models.current is before
