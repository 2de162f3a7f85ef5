"""`RetrievalService`: no model at all. The answer names the tools that fit and says how to get a model.

The same question and the same tools give the same words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from mcp_gateway.catalog.signature import first_line, signature
from mcp_gateway.errors import ModelRefused
from mcp_gateway.llm.messages import LLMResponse, Request
from mcp_gateway.llm.service import Capabilities, LLMService, Mode

SHOWN: Final = 5
"""Tools named; beyond that the ranking is mostly noise (ask facts, 3.3 and 6.1)."""

HOW_TO: Final = (
    "No language model is set up, so nothing was called. To have questions answered, set llm.model with llm.api_key or "
    "llm.base_url in the configuration, or the variables MODEL, API_KEY and BASE_URL."
)


class RetrievalService(LLMService):
    """The provider without a key, an address or a wait."""

    mode = Mode.RETRIEVAL
    capabilities = Capabilities(tools=True)

    async def complete(self, request: Request) -> LLMResponse:
        return LLMResponse(answer([tool["function"] for tool in request.tools]))

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        raise ModelRefused("no embedding model is set up; set llm.embedding_model: to a folder, or with llm.base_url")


def answer(functions: Sequence[Mapping[str, Any]]) -> str:
    """The text for the best functions, given best first."""
    lines = described(functions)
    if not lines:
        return f"No tool of this gateway fits the question.\n\n{HOW_TO}"
    return "\n".join(["These tools fit best; call one of them with its arguments:", "", *lines, "", HOW_TO])


def described(functions: Sequence[Mapping[str, Any]]) -> list[str]:
    """One line for each of the best: its signature and the first line of what it says of itself."""
    return [
        f"{rank}. {signature({'name': function['name'], 'inputSchema': function['parameters']})}"
        + (f" - {told}" if (told := first_line(function["description"])) else "")
        for rank, function in enumerate(functions[:SHOWN], 1)
    ]
