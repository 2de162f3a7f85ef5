"""The registry: a tool is one typed function, and what does not fit it is refused in plain words."""

from __future__ import annotations

import json
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # it ships no types
import pytest
from mcp_gateway.builtin import Context, MCPFunctions
from mcp_gateway.builtin.functions import Arguments, builtin
from mcp_gateway.call import Call, Client
from mcp_gateway.catalog import Kind, Route
from mcp_gateway.errors import InvalidParams, UnknownName
from mcp_gateway.wire import Raw, loads
from pydantic import BaseModel, Field


class ShoutArguments(Arguments):
    """What to shout."""

    words: list[str] = Field(min_length=1, description="The words.")
    times: int = 1


class Shout(BaseModel):
    """The shout."""

    text: str


@builtin(title="Shout", readOnlyHint=True)
async def shout(arguments: ShoutArguments, context: Context) -> Shout:
    """Say it louder."""
    return Shout(text=" ".join(arguments.words * arguments.times).upper() + str(context.settings or ""))


FUNCTIONS = MCPFunctions([shout])


def call(arguments: Any, name: str = "shout") -> Call:
    params = {"name": name} if arguments is None else {"name": name, "arguments": arguments}
    made = Call("tools/call", params, Client(key="test"))
    made.route = Route(Kind.TOOL, None, name, name)
    return made


async def refusal(arguments: Any) -> str:
    with pytest.raises(InvalidParams) as refused:
        await FUNCTIONS.call(call(arguments))
    return refused.value.message


def test_the_definition_comes_from_the_function() -> None:
    (definition,) = FUNCTIONS.definitions

    assert definition["name"] == "shout"
    assert definition["title"] == "Shout"
    assert definition["description"] == "Say it louder."
    assert definition["annotations"] == {"title": "Shout", "readOnlyHint": True}
    assert definition["inputSchema"]["required"] == ["words"]
    assert definition["inputSchema"]["additionalProperties"] is False


@pytest.mark.parametrize("raw", [False, True])
async def test_a_call_answers_with_text_and_structure(raw: bool) -> None:
    arguments: Any = {"words": ["a", "b"], "times": 2}
    result = loads(await FUNCTIONS.call(call(Raw(json.dumps(arguments).encode()) if raw else arguments)))

    assert result["structuredContent"] == {"text": "A B A B"}
    assert json.loads(result["content"][0]["text"]) == {"text": "A B A B"}
    assert result["isError"] is False


async def test_an_unknown_argument_is_refused_with_the_nearest_one() -> None:
    assert await refusal({"words": ["a"], "time": 1}) == "shout: unknown argument 'time', did you mean 'times'?"


async def test_an_argument_unlike_any_is_refused_with_all_of_them() -> None:
    assert await refusal({"words": ["a"], "zzz": 1}) == "shout: unknown argument 'zzz', known: words, times"


async def test_a_wrong_type_is_refused_with_its_place() -> None:
    assert (await refusal({"words": ["a", 1]})).startswith("shout: words.1: Input should be a valid string")


async def test_every_problem_is_told_at_once() -> None:
    message = await refusal({"times": "many", "x": 1})

    assert all(part in message for part in ("words: Field required", "times: ", "unknown argument 'x'"))


@pytest.mark.parametrize("arguments", [None, Raw(b"null"), Raw(b"{}"), {}])
async def test_no_arguments_are_an_empty_object(arguments: Any) -> None:
    assert await refusal(arguments) == "shout: words: Field required"


@pytest.mark.parametrize("arguments", [[], "words", 1, Raw(b"[1]"), Raw(b"{]")])
async def test_what_is_no_object_is_refused(arguments: Any) -> None:
    assert (await refusal(arguments)).startswith("shout: arguments: ")


async def test_a_value_is_never_quoted_back() -> None:
    assert "hunter2" not in await refusal({"words": "hunter2"})


async def test_a_tool_that_was_switched_off_is_unknown() -> None:
    functions = MCPFunctions([shout])
    functions.configure([], {})

    assert functions.definitions == ()
    with pytest.raises(UnknownName):
        await functions.call(call({"words": ["a"]}))


async def test_a_tool_sees_its_own_settings() -> None:
    functions = MCPFunctions([shout], {"shout": "!", "other": "?"})

    assert loads(await functions.call(call({"words": ["a"]})))["structuredContent"] == {"text": "A!"}


@pytest.mark.parametrize("tool", FUNCTIONS.definitions, ids=lambda tool: tool["name"])
def test_schemas_are_json_schemas(tool: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator.check_schema(tool["inputSchema"])
    jsonschema.Draft202012Validator.check_schema(tool["outputSchema"])
