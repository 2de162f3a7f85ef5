"""`MCPFunctions`: the registry of built-in tools, an in-process provider behind `Gateway.route`.

A built-in is one typed async function: `async def name(arguments: Model, context: Context) -> Model`.
Its schemas come from its two models, its description from its docstring.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar, get_type_hints

from pydantic import BaseModel, ConfigDict, ValidationError

from mcp_gateway.builtin.schema import input_schema, output_schema
from mcp_gateway.call import Call
from mcp_gateway.errors import InvalidParams, UnknownName
from mcp_gateway.validation import reasons
from mcp_gateway.wire import Raw, encode

Model = TypeVar("Model", bound=BaseModel)


class Arguments(BaseModel):
    """The base of every built-in's arguments: unknown ones are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Result(BaseModel, ABC):
    """The base of results that have a better text than their JSON."""

    @abstractmethod
    def text(self) -> str:
        """What a model or a person reads; programs read the structured content."""

    @property
    def is_error(self) -> bool:
        """Whether this tells of a failure; its structure is the same then."""
        return False


class NeedsInput(Exception):
    """The tool needs an answer of the person before it can go on (2026-07-28, basic/patterns/mrtr).

    `requests` are questions by key, `state` comes back with the answers, in the next request.
    """

    def __init__(self, requests: Mapping[str, Any], state: str) -> None:
        super().__init__("input required")
        self.requests = requests
        self.state = state


@dataclass(frozen=True, slots=True)
class Context:
    """What a built-in may know besides its arguments.

    `settings` is the tool's own section of the configuration. `health` gives the gateway's
    own state as plain data; the composition root fills both.
    """

    call: Call
    settings: Any = None
    health: Callable[[], Mapping[str, Any]] = dict


Function = Callable[[Any, Context], Awaitable[BaseModel]]


@dataclass(frozen=True, slots=True)
class Builtin:
    """One built-in tool: its function, and what a listing says of it."""

    name: str
    function: Function
    arguments: type[BaseModel]
    result: type[BaseModel]
    description: str
    annotations: Mapping[str, Any] = field(default_factory=dict)
    meta: Mapping[str, Any] = field(default_factory=dict)

    @property
    def definition(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "title": self.annotations.get("title", self.name),
            "description": self.description,
            "inputSchema": input_schema(self.arguments),
            "outputSchema": output_schema(self.result),
            "annotations": dict(self.annotations),
        } | ({"_meta": dict(self.meta)} if self.meta else {})


def builtin(*, meta: Mapping[str, Any] | None = None, **annotations: Any) -> Callable[[Function], Builtin]:
    """Make a typed async function a built-in tool; `annotations` and `meta` are the tool's in MCP."""

    def make(function: Function) -> Builtin:
        hints = get_type_hints(function)
        name = getattr(function, "__name__")  # noqa: B009 - `Callable` has no __name__ for the type checker
        arguments, result = hints["arguments"], hints["return"]
        return Builtin(name, function, arguments, result, inspect.getdoc(function) or "", annotations, meta or {})

    return make


async def _at_once() -> None:
    return


class MCPFunctions:
    """The built-in tools that are switched on, each with its settings."""

    def __init__(
        self,
        builtins: Iterable[Builtin],
        settings: Mapping[str, Any] | None = None,
        health: Callable[[Call], Mapping[str, Any]] = lambda call: {},
        settled: Callable[[], Awaitable[None]] = _at_once,
    ) -> None:
        """`health` tells what a call's client may know, `settled` waits until it is known which tools are offered."""
        self._health = health
        self.settled = settled
        self.configure(builtins, settings or {})

    def configure(self, builtins: Iterable[Builtin], settings: Mapping[str, Any]) -> None:
        """Make these the built-in tools; `settings` are by tool. Calls under way go on."""
        self._builtins = {tool.name: tool for tool in builtins}
        self._settings = settings
        self.definitions = tuple(tool.definition for tool in self._builtins.values())

    async def call(self, call: Call) -> Raw:
        """Run one built-in and return its `CallToolResult`.

        Raises:
            InvalidParams: the arguments do not fit; the message names each field.
            UnknownName: switched off meanwhile.
        """
        assert call.route is not None, "the gateway resolved the name"
        tool = self._builtins.get(call.route.name)
        if tool is None:
            raise UnknownName("tool", call.route.exposed)
        arguments = validated(tool.name, tool.arguments, call.params.get("arguments"))
        context = Context(call, self._settings.get(tool.name), lambda: self._health(call))
        try:
            return _tool_result(await tool.function(arguments, context))
        except NeedsInput as asked:
            return _input_required(asked)


def validated(tool: str, model: type[Model], arguments: Any) -> Model:
    """A tool's arguments as its model. Raises InvalidParams, which names each field."""
    encoded = encode(arguments)
    try:
        return model.model_validate_json(b"{}" if encoded == b"null" else encoded)
    except ValidationError as invalid:
        raise InvalidParams(f"{tool}: {reasons(invalid, model, noun='argument')}") from None


def _tool_result(result: BaseModel) -> Raw:
    structured = result.model_dump_json(by_alias=True)
    text, is_error = (result.text(), result.is_error) if isinstance(result, Result) else (structured, False)
    content = [{"type": "text", "text": text}]
    return Raw(encode({"content": content, "structuredContent": Raw(structured.encode()), "isError": is_error}))


def _input_required(asked: NeedsInput) -> Raw:
    result = {"resultType": "input_required", "inputRequests": asked.requests, "requestState": asked.state}
    return Raw(encode(result))
