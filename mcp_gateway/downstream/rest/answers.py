"""What operations answer, for the document. Answers are not checked against these at run time; tests do that.

What comes from a server keeps every member it came with, so these models name the ones to count on.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from mcp_gateway.llm.result import AskResult


class Open(BaseModel):
    """Members that are not named here may be there too."""

    model_config = ConfigDict(extra="allow")


class ErrorDetails(Open):
    """What programs may rely on; `code` is stable, and docs/errors has a page for each."""

    code: str
    server: str | None = Field(default=None, description="The server concerned.")


class ErrorBody(BaseModel):
    """Every error."""

    error: str = Field(description="What happened, to which thing, and what to do.")
    timestamp: str = Field(description="ISO 8601, UTC.", json_schema_extra={"format": "date-time"})
    details: ErrorDetails | None


class Tool(Open):
    """A tool as MCP lists it, and where it comes from."""

    name: str
    server: str | None = Field(description="Null for a built-in tool.")
    tool: str = Field(description="Its own name at its server.")
    description: str | None = None
    inputSchema: dict[str, Any]  # noqa: N815 - MCP's word
    annotations: dict[str, Any] | None = None


class Prompt(Open):
    """A prompt as MCP lists it, and where it comes from."""

    name: str
    server: str | None
    prompt: str = Field(description="Its own name at its server.")


class Resource(Open):
    """A resource, or a template that has `uriTemplate` in place of `uri`."""

    name: str
    server: str | None
    uri: str | None = None
    uriTemplate: str | None = None  # noqa: N815 - MCP's word


class Tools(BaseModel):
    """All tools."""

    tools: list[Tool]


class Prompts(BaseModel):
    """All prompts."""

    prompts: list[Prompt]


class Resources(BaseModel):
    """All resources and templates."""

    resources: list[Resource]


class Problem(BaseModel):
    """What is wrong with something that a server offers."""

    code: str
    server: str | None
    name: str | None = Field(description="Null when it concerns the whole server.")
    text: str


class Server(Open):
    """One configured server."""

    name: str
    state: Literal["disabled", "connecting", "ready", "backoff", "parked", "needs_auth", "idle"]
    transport: str | None
    revision: str | None = Field(description="Of the protocol, once it is known.")
    tools: int
    since: str | None = Field(description="When the state began, ISO 8601.")
    reason: str | None = Field(description="Why it is not ready.")
    next_attempt_in_s: float | None
    in_flight: int
    failures: dict[str, int] = Field(description="How often, by error code.")


class ServerDetail(Server):
    """One server, and everything known of it."""

    server_info: dict[str, Any] | None
    capabilities: dict[str, Any] | None
    instructions: str | None
    exposed_tools: list[Tool]
    problems: list[Problem]


class Servers(BaseModel):
    """All servers, in the order of the file."""

    servers: list[Server]


class FileStatus(BaseModel):
    """The configuration file in force."""

    file: str
    error: str | None = Field(description="Why the newest version of the file is not in force.")
    notes: list[str]
    restart_needed: list[str] = Field(description="Changed settings that wait for the next start.")


class MemoryStatus(BaseModel):
    """Whether calls are refused for want of memory, why, and how often that began since the start (docs/limits.md)."""

    shedding: str | None
    episodes: int


class Status(Open):
    """The gateway in a page."""

    version: str
    servers: list[Server]
    tools: int
    prompts: int
    resources: int
    problems: list[Problem]
    sessions: int
    in_flight: int
    memory: MemoryStatus | None = Field(description="For callers with the scope admin.")
    config: FileStatus | None = Field(description="For callers with the scope admin.")


class Withheld(Open):
    """A tool definition that is not offered until it is approved, and what changed in it (docs/trust.md)."""

    server: str
    tool: str


class Pins(BaseModel):
    """What is withheld."""

    pins: list[Withheld]


class ApprovedTool(BaseModel):
    """A definition that is offered again."""

    server: str
    tool: str
    digest: str


class Approved(BaseModel):
    """What is offered again."""

    approved: list[ApprovedTool]


class CallRecord(BaseModel):
    """A call that has ended (docs/observability.md); of its arguments a digest, unless more is asked for."""

    at: str
    trace: str
    span: str
    principal: str
    client: str | None
    door: str
    method: str
    server: str | None
    tool: str | None
    outcome: str
    duration_ms: float
    cached: bool | None
    arguments: str | None
    policy: str
    count: int = Field(description="More than one: so many refused calls, of which this is the last.")


class Calls(BaseModel):
    """The last calls, the newest first."""

    calls: list[CallRecord]


class CacheStatus(BaseModel):
    """Counters since the start."""

    entries: int
    bytes: int
    hits: int
    misses: int
    stale: int
    evicted: int
    dropped: int
    hit_rate: float | None = Field(description="Null while nothing was looked for.")
    state: str
    tiers: dict[str, CacheStatus]


class Removed(BaseModel):
    """How many kept answers are gone."""

    removed: int


class Reloaded(BaseModel):
    """The file is in force."""

    reloaded: Literal[True]
    restart_needed: list[str] = Field(description="Changed settings that wait for the next start.")


class CallToolResult(Open):
    """A tool's result as MCP has it. With `isError` it failed; `_meta["io.mcp-gateway/error"]` may have a code then."""

    content: list[dict[str, Any]]
    structuredContent: Any = None  # noqa: N815 - MCP's word
    isError: bool = False  # noqa: N815 - MCP's word


class PromptResult(Open):
    """A prompt, filled in."""

    messages: list[dict[str, Any]]
    description: str | None = None


class ReadResult(Open):
    """A resource's contents."""

    contents: list[dict[str, Any]]


class Hit(Open):
    """Something found; with `kind` web it has `title`, `url` and `snippet`, otherwise the members below."""

    rank: int
    kind: Literal["tool", "prompt", "resource", "template", "web"]
    name: str | None = Field(default=None, description="What to call, get or read.")
    server: str | None = None
    tool: str | None = None
    description: str | None = None
    signature: str | None = None
    score: float | None = None


class Found(Open):
    """Ranked results."""

    results: list[Hit]
    query: str
    kind: str
    warnings: list[str]
    untrusted: bool = Field(description="True when web pages speak in the results.")


class Answer(AskResult):
    """An answer and how it came about."""


class Embeddings(BaseModel):
    """One vector for each text, in their order."""

    embeddings: list[list[float]]
    model: str
