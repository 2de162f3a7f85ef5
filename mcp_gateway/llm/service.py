"""`LLMService`: a language model behind three questions, whoever provides it.

A provider of one's own subclasses it with `complete` (and `stream`, `embed` where it can), and is named in the
configuration by dotted path (`package.module:Class`). It is built with the `llm` section's settings.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, Literal, overload

from mcp_gateway.errors import ModelRefused
from mcp_gateway.llm.messages import LLMChunk, LLMResponse, Messages, Request, TextDelta, ToolChoice, last_question

MIN_SCORE: Final = 0.02
"""Below this no word of the question occurs in any tool, near enough (our choice)."""

Score = Callable[[str], Awaitable[float]]
"""How well the best tool fits a question, from 0 to 1."""


class Mode(StrEnum):
    """Who answers."""

    LLM = "llm"
    RETRIEVAL = "retrieval"
    SAMPLING = "sampling"


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a provider can do at all."""

    tools: bool = True
    streaming: bool = False
    embeddings: bool = False


@dataclass(frozen=True, slots=True)
class Settings:
    """How a model is reached; the `llm` section as plain values. `api_key` is shown nowhere.

    `embedding_model` is a name that the provider knows, `embedding_folder` a model here that takes its place.
    `keeps_all`: answers are kept at any temperature, not only at 0.
    """

    model: str | None = None
    base_url: str | None = None
    api_key: str | None = None
    embedding_model: str | None = None
    embedding_folder: Path | None = None
    timeout_s: float = 60.0
    temperature: float = 0.0
    keeps_all: bool = False

    def __repr__(self) -> str:
        return f"Settings(model={self.model!r}, base_url={self.base_url!r})"


class LLMService(ABC):
    """One language model. Whoever makes it closes it with `aclose`.

    Attributes:
        score: how well the gateway's tools fit a question, where anybody can tell.
    """

    mode: Mode = Mode.LLM
    capabilities: Capabilities = Capabilities()
    score: Score | None = None

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or Settings()

    @property
    def model(self) -> str:
        """The model's name for people."""
        return self.settings.model or ""

    # -- what a provider writes ----------------------------------------------------------------------------------

    @abstractmethod
    async def complete(self, request: Request) -> LLMResponse:
        """One whole turn.

        Raises:
            ModelUnavailable: no usable answer; another moment may bring one.
            ModelRefused: the request cannot succeed as it is.
        """

    async def stream(self, request: Request) -> AsyncGenerator[LLMChunk, None]:
        """The same turn in pieces. Raises as `complete`, also after pieces have come."""
        response = await self.complete(request)
        if response.text:
            yield TextDelta(response.text)
        yield response

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """One vector for each text, in their order. Raises as `complete`."""
        raise ModelRefused("this provider makes no embeddings; set llm.provider to one that does")

    async def prepare(self) -> None:  # noqa: B027 - optional: not every provider has something to load
        """Load what the first request needs, so that it can be quick; nothing is sent. Raises as `complete`."""

    async def aclose(self) -> None:  # noqa: B027 - optional: not every provider holds something
        """Let go of connections; the service is not used afterwards."""

    # -- what everybody calls ------------------------------------------------------------------------------------

    async def _should_call_mcp(self, messages: Messages) -> bool:
        """Whether tools are worth showing for this conversation. Asks no model: its own turn decides the rest."""
        question = last_question(messages)
        if not question.strip():
            return False
        return self.score is None or await self.score(question) >= MIN_SCORE

    @overload
    async def generate_response(
        self,
        messages: Messages,
        stream: Literal[False] = False,
        *,
        tools: Sequence[Mapping[str, Any]] | None = None,
        tool_choice: ToolChoice = "auto",
        temperature: float | None = None,
        max_tokens: int | None = None,
    ) -> LLMResponse: ...

    @overload
    async def generate_response(
        self,
        messages: Messages,
        stream: Literal[True],
        *,
        tools: Sequence[Mapping[str, Any]] | None = None,
        tool_choice: ToolChoice = "auto",
        temperature: float | None = None,
        max_tokens: int | None = None,
    ) -> AsyncGenerator[LLMChunk, None]: ...

    async def generate_response(
        self,
        messages: Messages,
        stream: bool = False,
        *,
        tools: Sequence[Mapping[str, Any]] | None = None,
        tool_choice: ToolChoice = "auto",
        temperature: float | None = None,
        max_tokens: int | None = None,
    ) -> LLMResponse | AsyncGenerator[LLMChunk, None]:
        """One turn of the model: whole, or as a stream of `LLMChunk`. `tools` are Chat Completions functions.

        Raises as `complete`.
        """
        request = Request(messages, tuple(tools or ()), tool_choice, temperature, max_tokens)
        return self.stream(request) if stream else await self.complete(request)

    @overload
    async def get_embedding(self, text: str) -> list[float]: ...

    @overload
    async def get_embedding(self, text: list[str]) -> list[list[float]]: ...

    async def get_embedding(self, text: str | list[str]) -> list[float] | list[list[float]]:
        """The vector of a text, or one for each of several. Raises as `complete`."""
        if isinstance(text, str):
            return (await self.embed([text]))[0]
        return await self.embed(text) if text else []
