"""Search mode's own tools: they find tools, describe them, and stand for those that no listing shows.

`search_tools` and `describe_tools` run here. `call_tool` and `read_tool` never run: the
gateway takes the call they hold out of them and routes that, so it is as if it had come
by itself. None of the four is in the catalog.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final

from pydantic import BaseModel, Field, model_validator

from mcp_gateway.builtin.catalog_search import CatalogHit
from mcp_gateway.builtin.functions import Arguments, Builtin, Context, Result, builtin, validated
from mcp_gateway.builtin.services import Services
from mcp_gateway.call import Call
from mcp_gateway.catalog import Catalog, Kind, View
from mcp_gateway.catalog.text import truncate
from mcp_gateway.wire import encode, fields

DEFAULT_LIMIT: Final = 8
MAX_LIMIT: Final = 20
MAX_QUERIES: Final = 8
MAX_NAMES: Final = 20

CALL_TOOL: Final = "call_tool"
READ_TOOL: Final = "read_tool"
FINDERS: Final = frozenset({"search_tools", "describe_tools"})
SURFACE: Final = FINDERS | {CALL_TOOL, READ_TOOL}

DESCRIPTION_BYTES: Final = 2_000
"""Claude Code cuts descriptions at 2 kB (its documentation, 2026-11)."""

SHORT_BYTES: Final = 500
"""All four name the servers; only `search_tools` names many of them (our choice)."""

Words = Annotated[str, Field(min_length=1, max_length=400, pattern=r"\S")]
Name = Annotated[str, Field(min_length=1, description="A tool's name, as search_tools gives it.")]


class SearchToolsArguments(Arguments):
    """What to look for: `query`, or several `queries` whose results are merged."""

    query: Words | None = Field(default=None, description="What the tool should do, in a few words.")
    queries: list[Words] = Field(
        default_factory=list, max_length=MAX_QUERIES, description="Several searches at once, one for each step."
    )
    limit: int = Field(default=DEFAULT_LIMIT, ge=1, le=MAX_LIMIT, description="How many tools.")

    @model_validator(mode="after")
    def _one_way(self) -> SearchToolsArguments:
        if (self.query is None) == (not self.queries):
            raise ValueError("give either query or queries")
        return self


class ToolHit(CatalogHit):
    """A tool that fits."""

    read_only: bool = Field(description="Whether read_tool may call it, too.")


class FoundTools(Result):
    """Tools that fit, best first."""

    results: list[ToolHit]

    def text(self) -> str:
        return "\n".join(map(_line, self.results)) or "No tool fits; try other words."


class DescribeToolsArguments(Arguments):
    """Which tools."""

    names: list[Name] = Field(min_length=1, max_length=MAX_NAMES, description="Names, as search_tools gives them.")


class Unknown(BaseModel):
    """A name that no tool has."""

    name: str
    did_you_mean: str | None


class DescribedTools(BaseModel):
    """Definitions as a listing has them."""

    tools: list[dict[str, Any]]
    unknown: list[Unknown] = Field(description="Names that no tool has.")


class CallToolArguments(Arguments):
    """A call of another tool."""

    name: Name
    arguments: dict[str, Any] = Field(default_factory=dict, description="Its arguments, by its input schema.")


def finders(services: Services) -> tuple[Builtin, ...]:
    """The two that run; `services` say what each caller may see."""

    @builtin(title="Search tools", readOnlyHint=True, destructiveHint=False, idempotentHint=True, openWorldHint=False)
    async def search_tools(arguments: SearchToolsArguments, context: Context) -> FoundTools:
        """Find tools by what they do; most tools are not listed, and this is how to get at them.

        Search for each step by itself, with `queries` for several. Call what is found with `call_tool`, or with
        `read_tool` where it only reads; `describe_tools` has the full schemas.
        """
        catalog, allowed = await services.catalog(), services.allowed(context.call)
        queries = arguments.queries or [arguments.query or ""]
        hits = await services.index.search(catalog, (Kind.TOOL,), queries, arguments.limit, allowed)
        found = [ToolHit(**hit.model_dump(), read_only=reads_only(catalog, hit.name)) for hit in hits]
        return FoundTools(results=found)

    @builtin(title="Describe tools", readOnlyHint=True, destructiveHint=False, idempotentHint=True, openWorldHint=False)
    async def describe_tools(arguments: DescribeToolsArguments, context: Context) -> DescribedTools:
        """Give the full definitions of tools by name: description, input schema, annotations."""
        catalog, allowed = await services.catalog(), services.allowed(context.call)
        tools, unknown = [], []
        for name in dict.fromkeys(arguments.names):
            entry = catalog.tool(name)
            if entry is not None and allowed(entry.route):
                tools.append(entry.definition)
            else:
                unknown.append(Unknown(name=name, did_you_mean=catalog.nearest(Kind.TOOL, name, allowed)))
        return DescribedTools(tools=tools, unknown=unknown)

    return search_tools, describe_tools


@dataclass(frozen=True, slots=True)
class Delegate:
    """A tool that stands for another one; its result is the other's, so it has no schema."""

    name: str
    description: str
    annotations: Mapping[str, Any]

    @property
    def definition(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "title": self.annotations["title"],
            "description": self.description,
            "inputSchema": CallToolArguments.model_json_schema(),
            "annotations": dict(self.annotations),
        }


DELEGATES: Final = (
    Delegate(
        CALL_TOOL,
        "Call any tool by name, listed or not. The result is the tool's own.",
        {"title": "Call a tool", "readOnlyHint": False, "destructiveHint": True, "openWorldHint": True},
    ),
    Delegate(
        READ_TOOL,
        "Call a tool that only reads (readOnlyHint) by name, listed or not. The result is the tool's own.",
        {"title": "Read with a tool", "readOnlyHint": True, "destructiveHint": False, "openWorldHint": True},
    ),
)


def unwrap(call: Call) -> str | None:
    """Put the call that `call_tool` or `read_tool` holds in its place; the one that held it, None for others.

    Everything else of the request stays as it is: token, answers to questions, state. Raises InvalidParams.
    """
    if call.method != "tools/call":
        return None
    name = encode(call.params.get("name"))
    outer = next((each.name for each in DELEGATES if encode(each.name) == name), None)
    if outer is None:
        return None
    given = call.params.get("arguments")
    inner = validated(outer, CallToolArguments, given)
    call.params = {**call.params, "name": inner.name, "arguments": fields(encode(given)).get("arguments", {})}
    return outer


def reads_only(catalog: Catalog, name: str) -> bool:
    """Whether the tool says so; one that says nothing may do anything."""
    entry = catalog.tool(name)
    hints = entry.definition.get("annotations") if entry is not None else None
    return isinstance(hints, dict) and hints.get("readOnlyHint") is True


def surface(running: tuple[dict[str, Any], ...], catalog: Catalog, view: View) -> list[dict[str, Any]]:
    """What search mode lists of its own: `running` are the definitions of `finders`.

    Without output schemas, which would be the half of it; a result may be structured without one.
    """
    tools = catalog.tools_by_server(view)
    small = [{key: value for key, value in tool.items() if key != "outputSchema"} for tool in running]
    definitions = [*small, *(each.definition for each in DELEGATES)]
    return [
        definition
        | {"description": _behind(definition["description"], tools, SHORT_BYTES if at else DESCRIPTION_BYTES)}
        for at, definition in enumerate(definitions)
    ]


def _behind(description: str, tools: Mapping[str, int], max_bytes: int) -> str:
    """The description with the servers and the number of tools it leads to, all of it at most `max_bytes`."""
    if not tools:
        return f"{description}\n\nBehind this gateway: no tools just now."
    opening = f"{description}\n\nBehind this gateway: {sum(tools.values())} tools of {len(tools)} servers: "
    room = max_bytes - len(opening.encode()) - len(" and 10000 more.")
    named: list[str] = []
    for server, count in tools.items():
        text = f"{truncate(server, 60)} ({count})"
        room -= len(text.encode()) + len(", ")
        if room < 0:
            break
        named.append(text)
    left_out = len(tools) - len(named)
    return f"{opening}{', '.join(named)}{f' and {left_out} more' if left_out else ''}."


def _line(hit: ToolHit) -> str:
    return f"{hit.line()}{'  (read-only)' if hit.read_only else ''}"
