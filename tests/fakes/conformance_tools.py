"""The tools of the conformance fixture: names, texts and schemas are those that the suite's scenarios prescribe."""

from __future__ import annotations

import base64
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import anyio
import mcp_types as types
from mcp.server import ServerRequestContext

from tests.fakes.conformance_asking import (
    Inquiry,
    Question,
    demand,
    elicitation_question,
    next_question,
    sampling_question,
)

Context = ServerRequestContext[Any]
Params = types.CallToolRequestParams
Answer = types.CallToolResult | types.InputRequiredResult
Handler = Callable[[Context, Params], Awaitable[Answer]]
Schema = dict[str, Any]

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC"  # one red pixel
SILENCE = base64.b64encode(
    b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0data\0\0\0\0"
).decode()
PAUSE_S = 0.05
"""The scenarios for logging and progress ask for about 50 ms between messages."""

NOTHING: Schema = {"type": "object", "properties": {}}

DIALECT: Schema = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {
        "address": {
            "$anchor": "addressDef",
            "type": "object",
            "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
        }
    },
    "properties": {
        "name": {"type": "string"},
        "address": {"$ref": "#/$defs/address"},
        "contactMethod": {"type": "string", "enum": ["phone", "email"]},
        "phone": {"type": "string"},
        "email": {"type": "string"},
    },
    "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
    "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
    "then": {"required": ["phone"]},
    "else": {"required": ["email"]},
    "additionalProperties": False,
}

DEFAULTS: Schema = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "default": "John Doe"},
        "age": {"type": "integer", "default": 30},
        "score": {"type": "number", "default": 95.5},
        "status": {"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
        "verified": {"type": "boolean", "default": True},
    },
    "required": [],
}


def _titled(noun: str) -> list[dict[str, str]]:
    return [{"const": f"value{n}", "title": f"{nth} {noun}"} for n, nth in enumerate(("First", "Second", "Third"), 1)]


OPTIONS = ["option1", "option2", "option3"]
ENUMS: Schema = {
    "type": "object",
    "properties": {
        "untitledSingle": {"type": "string", "enum": OPTIONS},
        "titledSingle": {"type": "string", "oneOf": _titled("Option")},
        "legacyEnum": {
            "type": "string",
            "enum": ["opt1", "opt2", "opt3"],
            "enumNames": ["Option One", "Option Two", "Option Three"],
        },
        "untitledMulti": {"type": "array", "items": {"type": "string", "enum": OPTIONS}},
        "titledMulti": {"type": "array", "items": {"anyOf": _titled("Choice")}},
    },
    "required": [],
}

CONTACT: Schema = {
    "type": "object",
    "properties": {
        "username": {"type": "string", "description": "User's response"},
        "email": {"type": "string", "description": "User's email address"},
    },
    "required": ["username", "email"],
}


def needs(name: str, **more: Any) -> Schema:
    return {"type": "object", "properties": {name: {"type": "string", **more}}, "required": [name]}


def _arguments(params: Params) -> Mapping[str, Any]:
    return params.arguments or {}


def text(value: str) -> types.TextContent:
    return types.TextContent(type="text", text=value)


def image() -> types.ImageContent:
    return types.ImageContent(type="image", data=PIXEL, mime_type="image/png")


def embedded(uri: str, mime_type: str, value: str) -> types.EmbeddedResource:
    contents = types.TextResourceContents(uri=uri, mime_type=mime_type, text=value)
    return types.EmbeddedResource(type="resource", resource=contents)


def result(*content: types.ContentBlock, is_error: bool = False) -> types.CallToolResult:
    return types.CallToolResult(content=list(content), is_error=is_error)


def says(*content: types.ContentBlock, is_error: bool = False) -> Handler:
    """A tool that always answers the same."""

    async def handler(ctx: Context, params: Params) -> Answer:
        return result(*content, is_error=is_error)

    return handler


async def log(ctx: Context, params: Params) -> Answer:
    for step, line in enumerate(("Tool execution started", "Tool processing data", "Tool execution completed")):
        if step:
            await anyio.sleep(PAUSE_S)
        await ctx.session.send_log_message("info", line, related_request_id=ctx.request_id)
    return result(text("Logged three times."))


async def progress(ctx: Context, params: Params) -> Answer:
    for done in (0, 50, 100):
        if done:
            await anyio.sleep(PAUSE_S)
        await ctx.session.report_progress(done, 100)
    return result(text("Progressed to the end."))


async def sample(ctx: Context, params: Params) -> Answer:
    prompt = _arguments(params)["prompt"]
    if ctx.protocol_version >= "2026-07-28":
        answer = asked(ctx, params, sampling_question(prompt, 100))
        return result(text(f"LLM response: {answer}")) if isinstance(answer, dict) else answer
    message = types.SamplingMessage(role="user", content=text(prompt))
    pushed = await ctx.session.create_message([message], max_tokens=100, related_request_id=ctx.request_id)
    return result(text(f"LLM response: {pushed.model_dump_json(include={'content'})}"))


async def elicit(ctx: Context, params: Params) -> Answer:
    return await elicited(ctx, params, _arguments(params)["message"], CONTACT, "User response")


def elicits(schema: Schema) -> Handler:
    async def handler(ctx: Context, params: Params) -> Answer:
        return await elicited(ctx, params, "Please review the form", schema, "Elicitation completed")

    return handler


async def elicited(ctx: Context, params: Params, message: str, schema: Schema, lead: str) -> Answer:
    """A form, pushed to the client or, from 2026-07-28 on, returned to it; then what came of it."""
    if ctx.protocol_version >= "2026-07-28":
        answer = asked(ctx, params, elicitation_question(message, schema))
        if not isinstance(answer, dict):
            return answer
    else:
        pushed = await ctx.session.elicit_form(message, schema, related_request_id=ctx.request_id)
        answer = pushed.model_dump(mode="json", by_alias=True)
    return result(text(f"{lead}: action={answer['action']}, content={json.dumps(answer.get('content') or {})}"))


def asked(ctx: Context, params: Params, question: Question) -> dict[str, Any] | types.InputRequiredResult:
    """The client's answer as plain data, or what has to be returned to get it."""
    inquiry = Inquiry(({"answer": question},))
    if open_question := next_question(ctx, inquiry, params.input_responses, params.request_state):
        return open_question
    return dict((params.input_responses or {})["answer"].model_dump(mode="json", by_alias=True))


async def need_sampling(ctx: Context, params: Params) -> Answer:
    demand(ctx, "sampling")
    return result(text("The client can sample."))


async def reconnect(ctx: Context, params: Params) -> Answer:
    """Close the stream of this request before the answer: the client reads the rest where it left off."""
    if ctx.close_sse_stream is not None:
        await ctx.close_sse_stream()
    await anyio.sleep(PAUSE_S)
    return result(text("Reconnection test completed."))


@dataclass(frozen=True)
class Tool:
    handler: Handler
    schema: Schema = field(default_factory=lambda: NOTHING)


TOOLS: Mapping[str, Tool] = {
    "test_simple_text": Tool(says(text("This is a simple text response for testing."))),
    "test_image_content": Tool(says(image())),
    "test_audio_content": Tool(says(types.AudioContent(type="audio", data=SILENCE, mime_type="audio/wav"))),
    "test_embedded_resource": Tool(
        says(embedded("test://embedded-resource", "text/plain", "This is an embedded resource content."))
    ),
    "test_multiple_content_types": Tool(
        says(
            text("Multiple content types test:"),
            image(),
            embedded("test://mixed-content-resource", "application/json", '{"test":"data","value":123}'),
        )
    ),
    "test_error_handling": Tool(says(text("This tool intentionally returns an error for testing"), is_error=True)),
    "test_tool_with_logging": Tool(log),
    "test_logging_tool": Tool(log),
    "test_tool_with_progress": Tool(progress),
    "test_sampling": Tool(sample, needs("prompt")),
    "test_elicitation": Tool(elicit, needs("message")),
    "test_elicitation_sep1034_defaults": Tool(elicits(DEFAULTS)),
    "test_elicitation_sep1330_enums": Tool(elicits(ENUMS)),
    "test_missing_capability": Tool(need_sampling),
    "test_reconnection": Tool(reconnect),
    "test_custom_headers": Tool(says(text("The header agrees.")), needs("region", **{"x-mcp-header": "Region"})),
    "json_schema_2020_12_tool": Tool(says(text("The schema came through.")), DIALECT),
}
