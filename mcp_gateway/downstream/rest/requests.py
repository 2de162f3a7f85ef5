"""What operations take: bodies and queries. Members that are not here are refused."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

MAX_TEXTS = 256
"""Texts embedded in one request (our choice; providers take from 96 to 2048)."""

Words = Annotated[str, Field(min_length=1, max_length=400, pattern=r"\S")]
Text = Annotated[str, Field(min_length=1, max_length=32_768)]
Globs = Annotated[list[str], Field(max_length=64)]
Timeout = Annotated[
    float | None,
    Field(gt=0, description="The caller's own deadline in seconds; it can only shorten the configured one."),
]
Stream = Annotated[
    bool | None,
    Field(
        description="As an event stream. Left out, an Accept header decides that names text/event-stream and not JSON."
    ),
]


class Body(BaseModel):
    """The base of all."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Nothing(Body):
    """No member at all."""


class CallRequest(Body):
    """A call of one tool."""

    arguments: dict[str, Any] = Field(default_factory=dict, description="As the tool's inputSchema wants them.")
    timeout_s: Timeout = None
    stream: Stream = None


class PromptRequest(Body):
    """A prompt's arguments."""

    arguments: dict[str, str] = Field(default_factory=dict)


class ReadRequest(Body):
    """A resource to read."""

    uri: str = Field(min_length=1, max_length=8192, description="As it is listed, or as a template makes it.")


class SearchRequest(Body):
    """What to look for: `query`, or several `queries` whose results are merged."""

    query: Words | None = None
    queries: list[Words] | None = Field(default=None, min_length=1, max_length=8)
    kind: Literal["auto", "web", "tools", "resources", "prompts"] = Field(default="auto", description="Where to look.")
    limit: int | None = Field(default=None, ge=1, le=20, description="How many results.")
    timeout_s: Timeout = None

    @model_validator(mode="after")
    def _one_way(self) -> SearchRequest:
        if (self.query is None) == (self.queries is None):
            raise ValueError("give either query or queries")
        return self


class AskMessage(Body):
    """One message of the conversation so far."""

    role: Literal["user", "assistant"]
    content: str = Field(min_length=1)


class AskRequest(Body):
    """What to answer: `question`, or a conversation in `messages` whose last one is the user's."""

    question: Text | None = None
    messages: list[AskMessage] | None = Field(default=None, min_length=1, max_length=100)
    tools: Globs = Field(default_factory=list, description="Tools to use; one that changes things in full.")
    servers: Globs = Field(default_factory=list, description="Servers to use.")
    read_only: bool = Field(default=False, description="Use nothing that can change anything.")
    confirm: Literal["deny", "auto"] = Field(
        default="deny",
        description="Calls that need a person's word: not made and reported, or made. `auto` needs the scope execute.",
    )
    timeout_s: Timeout = None
    stream: Stream = None

    @model_validator(mode="after")
    def _one_way(self) -> AskRequest:
        if (self.question is None) == (self.messages is None):
            raise ValueError("give either question or messages")
        if self.messages and self.messages[-1].role != "user":
            raise ValueError("the last of the messages must be the user's")
        return self


class EmbeddingsRequest(Body):
    """A text, or several."""

    input: Text | Annotated[list[Text], Field(min_length=1, max_length=MAX_TEXTS)]


class ApproveRequest(Body):
    """Withheld tools to offer again."""

    server: str = Field(description="The server, by its name in the configuration.")
    tools: list[str] | dict[str, str] | None = Field(
        default=None, description="Names, or {name: digest} to approve nothing but what was looked at. Default: all."
    )


class CallsQuery(Body):
    """How many calls to show; no more are in memory than the most."""

    limit: int = Field(default=100, ge=1, le=1000, description="The most calls to show.")


class CacheQuery(Body):
    """Which kept answers to drop; all when nothing is said."""

    server: str | None = Field(default=None, description="Only those of this server.")
    older_than_s: float | None = Field(
        default=None, ge=0, allow_inf_nan=False, description="Only those older than this, in seconds."
    )
