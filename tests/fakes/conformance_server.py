"""The server that the public conformance suite asks for, on the SDK: every revision of Streamable HTTP.

Run as a program: `python -m tests.fakes.conformance_server`; its URL is the first line of standard output. Names,
texts and schemas are those that the scenarios of `@modelcontextprotocol/conformance` prescribe.
"""

from __future__ import annotations

import json
import re
from typing import Any

import mcp_types as types
from mcp.server import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.streamable_http import EventCallback, EventMessage, EventStore
from mcp.server.subscriptions import (
    InMemorySubscriptionBus,
    ListenHandler,
    PromptsListChanged,
    ToolsListChanged,
)
from mcp.shared.exceptions import MCPError

from tests.fakes.conformance_asking import INQUIRIES, PROMPT_INQUIRIES, next_question, push
from tests.fakes.conformance_tools import NOTHING, PIXEL, TOOLS, Schema, embedded, image, result, text
from tests.fakes.everything import serve

Context = ServerRequestContext[Any]

DIRECT = {
    "test://static-text": "This is the content of the static text resource.",
    "test://watched-resource": "This is the content of the watched resource.",
}
BINARY = "test://static-binary"
TEMPLATE = re.compile(r"test://template/([^/]+)/data")
WORDS = ("paris", "park", "party")

PROMPTS = {
    "test_simple_prompt": (),
    "test_prompt_with_arguments": ("arg1", "arg2"),
    "test_prompt_with_embedded_resource": ("resourceUri",),
    "test_prompt_with_image": (),
    "test_input_required_result_prompt": (),
}


class ConformanceServer:
    """The handlers, and the one tool and the one prompt that come and go when the suite wants to see a list change."""

    def __init__(self) -> None:
        self.bus = InMemorySubscriptionBus()
        self.passing_tool = False
        self.passing_prompt = False

    def server(self) -> Server[Any]:
        server: Server[Any] = Server(
            "conformance",
            version="1.0.0",
            on_list_tools=self.list_tools,
            on_call_tool=self.call_tool,
            on_list_resources=self.list_resources,
            on_list_resource_templates=self.list_templates,
            on_read_resource=self.read_resource,
            on_subscribe_resource=self.acknowledge,
            on_unsubscribe_resource=self.acknowledge,
            on_subscriptions_listen=ListenHandler(self.bus),
            on_list_prompts=self.list_prompts,
            on_get_prompt=self.get_prompt,
            on_completion=self.complete,
            get_tool_input_schema=lambda name: self.schemas().get(name),
        )
        server.add_request_handler("logging/setLevel", types.SetLevelRequestParams, self.acknowledge)
        return server

    # -- tools ---------------------------------------------------------------------------------------------------

    def schemas(self) -> dict[str, Schema]:
        passing = ["test_passing_tool"] if self.passing_tool else []
        asking = dict.fromkeys(
            [*INQUIRIES, "test_trigger_tool_change", "test_trigger_prompt_change", *passing], NOTHING
        )
        return {name: tool.schema for name, tool in TOOLS.items()} | asking

    async def list_tools(self, ctx: Context, params: Any) -> types.ListToolsResult:
        tools = [
            types.Tool(name=name, description=f"The tool {name}.", input_schema=schema)
            for name, schema in self.schemas().items()
        ]
        return types.ListToolsResult(tools=tools)

    async def call_tool(self, ctx: Context, params: types.CallToolRequestParams) -> Any:
        if tool := TOOLS.get(params.name):
            return await tool.handler(ctx, params)
        if inquiry := INQUIRIES.get(params.name):
            if ctx.protocol_version < "2026-07-28":
                await push(ctx, inquiry)
                return result(text("Complete."))
            question = next_question(ctx, inquiry, params.input_responses, params.request_state)
            return question or result(text(f"Complete, state-ok: {_plain(params.input_responses)}"))
        if params.name == "test_trigger_tool_change":
            return await self.change_tools(ctx)
        if params.name == "test_trigger_prompt_change":
            return await self.change_prompts(ctx)
        raise MCPError(types.INVALID_PARAMS, f"Unknown tool: {params.name}")

    async def change_tools(self, ctx: Context) -> types.CallToolResult:
        self.passing_tool = not self.passing_tool
        await ctx.session.send_tool_list_changed()
        await self.bus.publish(ToolsListChanged())
        return result(text("The tools have changed."))

    async def change_prompts(self, ctx: Context) -> types.CallToolResult:
        self.passing_prompt = not self.passing_prompt
        await ctx.session.send_prompt_list_changed()
        await self.bus.publish(PromptsListChanged())
        return result(text("The prompts have changed."))

    # -- resources -----------------------------------------------------------------------------------------------

    async def list_resources(self, ctx: Context, params: Any) -> types.ListResourcesResult:
        kinds = dict.fromkeys(DIRECT, "text/plain") | {BINARY: "image/png"}
        resources = [
            types.Resource(
                uri=uri, name=uri.removeprefix("test://"), description=f"The resource {uri}.", mime_type=kind
            )
            for uri, kind in kinds.items()
        ]
        return types.ListResourcesResult(resources=resources)

    async def list_templates(self, ctx: Context, params: Any) -> types.ListResourceTemplatesResult:
        template = types.ResourceTemplate(
            uri_template="test://template/{id}/data",
            name="template",
            description="A resource with a parameter.",
            mime_type="application/json",
        )
        return types.ListResourceTemplatesResult(resource_templates=[template])

    async def read_resource(self, ctx: Context, params: types.ReadResourceRequestParams) -> types.ReadResourceResult:
        uri = str(params.uri)
        if value := DIRECT.get(uri):
            return _read(types.TextResourceContents(uri=uri, mime_type="text/plain", text=value))
        if uri == BINARY:
            return _read(types.BlobResourceContents(uri=uri, mime_type="image/png", blob=PIXEL))
        if match := TEMPLATE.fullmatch(uri):
            item = {"id": match[1], "templateTest": True, "data": f"Data for ID: {match[1]}"}
            return _read(types.TextResourceContents(uri=uri, mime_type="application/json", text=json.dumps(item)))
        code = types.INVALID_PARAMS if ctx.protocol_version >= "2026-07-28" else -32002
        raise MCPError(code, "Resource not found", {"uri": uri})

    async def acknowledge(self, ctx: Context, params: types.RequestParams) -> types.EmptyResult:
        return types.EmptyResult()

    # -- prompts -------------------------------------------------------------------------------------------------

    async def list_prompts(self, ctx: Context, params: Any) -> types.ListPromptsResult:
        offered = PROMPTS | ({"test_passing_prompt": ()} if self.passing_prompt else {})
        prompts = [
            types.Prompt(
                name=name,
                description=f"The prompt {name}.",
                arguments=[types.PromptArgument(name=each, description=each, required=True) for each in arguments],
            )
            for name, arguments in offered.items()
        ]
        return types.ListPromptsResult(prompts=prompts)

    async def get_prompt(self, ctx: Context, params: types.GetPromptRequestParams) -> Any:
        given = params.arguments or {}
        match params.name:
            case "test_simple_prompt":
                return _prompt(text("This is a simple prompt for testing."))
            case "test_prompt_with_arguments":
                return _prompt(text(f"Prompt with arguments: arg1='{given['arg1']}', arg2='{given['arg2']}'"))
            case "test_prompt_with_embedded_resource":
                resource = embedded(given["resourceUri"], "text/plain", "Embedded resource content for testing.")
                return _prompt(resource, text("Please process the embedded resource above."))
            case "test_prompt_with_image":
                return _prompt(image(), text("Please analyze the image above."))
            case name if inquiry := PROMPT_INQUIRIES.get(name):
                if ctx.protocol_version < "2026-07-28":
                    await push(ctx, inquiry)
                    return _prompt(text("Complete."))
                question = next_question(ctx, inquiry, params.input_responses, params.request_state)
                return question or _prompt(text(f"The context: {_plain(params.input_responses)}"))
        raise MCPError(types.INVALID_PARAMS, f"Unknown prompt: {params.name}")

    async def complete(self, ctx: Context, params: types.CompleteRequestParams) -> types.CompleteResult:
        values = [word for word in WORDS if word.startswith(params.argument.value)]
        return types.CompleteResult(completion=types.Completion(values=values, total=len(values), has_more=False))


class Replay(EventStore):
    """Every event of every stream, kept for ever: a fixture lives for one run of the suite."""

    def __init__(self) -> None:
        self.events: list[tuple[str, types.JSONRPCMessage | None]] = []

    async def store_event(self, stream_id: str, message: types.JSONRPCMessage | None) -> str:
        self.events.append((stream_id, message))
        return str(len(self.events) - 1)

    async def replay_events_after(self, last_event_id: str, send_callback: EventCallback) -> str | None:
        last = int(last_event_id)
        stream_id = self.events[last][0]
        for number, (owner, message) in enumerate(self.events[last + 1 :], last + 1):
            if owner == stream_id and message is not None:
                await send_callback(EventMessage(message, str(number)))
        return stream_id


def _plain(answers: Any) -> str:
    return json.dumps({key: answer.model_dump(mode="json", by_alias=True) for key, answer in (answers or {}).items()})


def _read(contents: types.TextResourceContents | types.BlobResourceContents) -> types.ReadResourceResult:
    return types.ReadResourceResult(contents=[contents])


def _prompt(*content: types.ContentBlock) -> types.GetPromptResult:
    return types.GetPromptResult(messages=[types.PromptMessage(role="user", content=each) for each in content])


if __name__ == "__main__":
    serve(ConformanceServer().server().streamable_http_app(event_store=Replay(), retry_interval=100))
