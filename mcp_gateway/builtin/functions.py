"""`MCPFunctions`: the registry of built-in tools, an in-process provider behind `Gateway.route`.

A built-in is one typed async function: `async def name(arguments: Model, context: Context) -> Model`.
Its schemas come from its two models, its description from its docstring.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, get_type_hints

from pydantic import BaseModel, ConfigDict, ValidationError

from mcp_gateway.call import Call
from mcp_gateway.errors import InvalidParams, UnknownName
from mcp_gateway.wire import Raw, encode


class Arguments(BaseModel):
    """The base of every built-in's arguments: unknown ones are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True, slots=True)
class Context:
    """What a built-in may know besides its arguments.

    `health` gives the gateway's own state as plain data; the composition root fills it.
    """

    call: Call
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

    @property
    def definition(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "title": self.annotations.get("title", self.name),
            "description": self.description,
            "inputSchema": self.arguments.model_json_schema(),
            "outputSchema": self.result.model_json_schema(mode="serialization"),
            "annotations": dict(self.annotations),
        }


def builtin(**annotations: Any) -> Callable[[Function], Builtin]:
    """Make a typed async function a built-in tool; `annotations` are the tool's MCP annotations."""

    def make(function: Function) -> Builtin:
        hints = get_type_hints(function)
        name = getattr(function, "__name__")  # noqa: B009 - `Callable` has no __name__ for the type checker
        arguments, result = hints["arguments"], hints["return"]
        return Builtin(name, function, arguments, result, inspect.getdoc(function) or "", annotations)

    return make


class MCPFunctions:
    """The built-in tools that are switched on."""

    def __init__(self, builtins: Iterable[Builtin], health: Callable[[], Mapping[str, Any]] = dict) -> None:
        self._builtins = {tool.name: tool for tool in builtins}
        self._health = health
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
        arguments = _validated(tool, call.params.get("arguments"))
        result = await tool.function(arguments, Context(call, self._health))
        return _tool_result(result)


def _validated(tool: Builtin, arguments: Any) -> BaseModel:
    try:
        return tool.arguments.model_validate_json(encode({} if arguments is None else arguments))
    except ValidationError as invalid:
        reasons = "; ".join(
            f"{'.'.join(map(str, problem['loc'])) or 'arguments'}: {problem['msg']}"
            for problem in invalid.errors(include_url=False, include_input=False)
        )
        raise InvalidParams(f"{tool.name}: {reasons}") from None


def _tool_result(result: BaseModel) -> Raw:
    text = result.model_dump_json(by_alias=True)
    content = [{"type": "text", "text": text}]
    return Raw(encode({"content": content, "structuredContent": Raw(text.encode()), "isError": False}))
