"""A real MCP server on the SDK, with a tool for each thing that may happen during a call.

Run as a program: `everything.py [--legacy] [--http|--sse]`. Over stdio it speaks both
eras, or with `--legacy` only the handshake; over HTTP it prints its URL on the first
line of standard output. `Everything` is also used in-process, by tests that look inside.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import mcp_types as types
import uvicorn
from mcp.server import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.runner import serve_loop
from mcp.server.sse import SseServerTransport
from mcp.server.stdio import stdio_server
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler, ResourceUpdated, ToolsListChanged
from mcp.shared.exceptions import MCPError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

Context = ServerRequestContext[Any]

STATIC = "test://static"
TEMPLATE = "test://items/{id}"
OBJECT: dict[str, Any] = {"type": "object"}


def tool(name: str, **annotations: Any) -> types.Tool:
    hints = types.ToolAnnotations(**annotations) if annotations else None
    return types.Tool(name=name, description=f"The tool {name}.", input_schema=OBJECT, annotations=hints)


class Everything:
    """The server's handlers and what it remembers."""

    def __init__(self) -> None:
        self.bus = InMemorySubscriptionBus()
        self.tools = [
            *map(
                tool, ("echo", "fail", "progress", "log", "sample", "elicit", "roots", "wait", "grow", "touch", "count")
            )
        ]
        self.calls = 0
        self.cancelled = 0
        self.levels: list[str] = []
        self.subscribed: set[str] = set()
        self.told: list[str] = []
        self.traces: list[tuple[str | None, object]] = []
        """The `traceparent` of each call: of its HTTP request, and of its `_meta`."""

    def server(self) -> Server[Any]:
        server: Server[Any] = Server(
            "everything",
            version="1.2.3",
            instructions="Use echo to hear yourself.",
            on_list_tools=self.list_tools,
            on_call_tool=self.call_tool,
            on_list_resources=self.list_resources,
            on_list_resource_templates=self.list_templates,
            on_read_resource=self.read_resource,
            on_subscribe_resource=self.subscribe,
            on_unsubscribe_resource=self.unsubscribe,
            on_subscriptions_listen=ListenHandler(self.bus),
            on_list_prompts=self.list_prompts,
            on_get_prompt=self.get_prompt,
            on_completion=self.complete,
            get_tool_input_schema=lambda name: next(
                (each.input_schema for each in self.tools if each.name == name), None
            ),
        )
        server.add_request_handler("logging/setLevel", types.SetLevelRequestParams, self.set_level)
        for method in ("notifications/roots/list_changed", "notifications/vendor/whisper"):
            server.add_notification_handler(method, types.NotificationParams, self.hear)
        server.add_request_handler("vendor/shout", types.RequestParams, self.shout)
        return server

    # -- tools ---------------------------------------------------------------------------------------------------

    async def list_tools(self, ctx: Context, params: Any) -> types.ListToolsResult:
        return types.ListToolsResult(tools=self.tools)

    async def call_tool(self, ctx: Context, params: types.CallToolRequestParams) -> Any:
        self.calls += 1
        header = ctx.request.headers.get("traceparent") if ctx.request is not None else None
        self.traces.append((header, (params.meta or {}).get("traceparent")))
        handler: Callable[[Context, types.CallToolRequestParams], Awaitable[Any]] = getattr(self, params.name)
        return await handler(ctx, params)

    async def echo(self, ctx: Context, params: types.CallToolRequestParams) -> Any:
        arguments = params.arguments or {}
        return said(str(arguments.get("text")), structured={"echoed": arguments, "none": None, "one": 1.0})

    async def fail(self, ctx: Context, params: types.CallToolRequestParams) -> Any:
        return types.CallToolResult(content=[text("it went wrong")], is_error=True)

    async def progress(self, ctx: Context, params: types.CallToolRequestParams) -> Any:
        for step in (1, 2, 3):
            await ctx.session.report_progress(step, 3, f"step {step}")
        return said("done")

    async def log(self, ctx: Context, params: types.CallToolRequestParams) -> Any:
        await ctx.session.send_log_message("warning", "careful", related_request_id=ctx.request_id)
        await ctx.session.send_log_message("debug", "detail", related_request_id=ctx.request_id)
        return said("done")

    async def roots(self, ctx: Context, params: types.CallToolRequestParams) -> Any:
        roots = await ctx.session.list_roots()
        return said(", ".join(str(root.uri) for root in roots.roots))

    async def wait(self, ctx: Context, params: types.CallToolRequestParams) -> Any:
        try:
            await anyio.sleep(float((params.arguments or {}).get("seconds", 60)))
        except anyio.get_cancelled_exc_class():
            self.cancelled += 1
            raise
        return said("waited")

    async def grow(self, ctx: Context, params: types.CallToolRequestParams) -> Any:
        self.tools.append(tool(f"grown_{len(self.tools)}"))
        await ctx.session.send_tool_list_changed()
        await self.bus.publish(ToolsListChanged())
        return said("grown")

    async def touch(self, ctx: Context, params: types.CallToolRequestParams) -> Any:
        await ctx.session.send_resource_updated(STATIC)
        await self.bus.publish(ResourceUpdated(uri=STATIC))
        return said("touched")

    async def count(self, ctx: Context, params: types.CallToolRequestParams) -> Any:
        seen = {"calls": self.calls, "cancelled": self.cancelled, "levels": self.levels}
        return said("counted", structured={**seen, "subscribed": sorted(self.subscribed)})

    async def sample(self, ctx: Context, params: types.CallToolRequestParams) -> Any:
        if ctx.protocol_version >= "2026-07-28":
            return await self.ask_modern(params, "sampling/createMessage", {"messages": [], "maxTokens": 5})
        message = types.SamplingMessage(role="user", content=text("?"))
        answer = await ctx.session.create_message([message], max_tokens=5, related_request_id=ctx.request_id)
        return said(f"sampled {answer.content.text}")  # type: ignore[union-attr]  # the tests answer with text

    async def elicit(self, ctx: Context, params: types.CallToolRequestParams) -> Any:
        schema: dict[str, Any] = {"type": "object", "properties": {"name": {"type": "string"}}}
        if ctx.protocol_version >= "2026-07-28":
            return await self.ask_modern(
                params, "elicitation/create", {"mode": "form", "message": "who?", "requestedSchema": schema}
            )
        answer = await ctx.session.elicit_form("who?", schema, related_request_id=ctx.request_id)
        return said(f"{answer.action} {(answer.content or {}).get('name')}")

    async def ask_modern(self, params: types.CallToolRequestParams, method: str, question: dict[str, Any]) -> Any:
        """The 2026-07-28 way: the question is a result, the answer comes with the retry."""
        answers = params.input_responses
        if not answers:
            return types.InputRequiredResult.model_validate(
                {
                    "resultType": "input_required",
                    "inputRequests": {"q": {"method": method, "params": question}},
                    "requestState": "state-1",
                }
            )
        assert params.request_state == "state-1"
        plain = answers["q"].model_dump(by_alias=True, mode="json")
        return said(f"modern {plain.get('action') or plain['content']['text']}")

    # -- resources -----------------------------------------------------------------------------------------------

    async def list_resources(self, ctx: Context, params: Any) -> types.ListResourcesResult:
        return types.ListResourcesResult(resources=[types.Resource(uri=STATIC, name="static")])

    async def list_templates(self, ctx: Context, params: Any) -> types.ListResourceTemplatesResult:
        template = types.ResourceTemplate(uri_template=TEMPLATE, name="items")
        return types.ListResourceTemplatesResult(resource_templates=[template])

    async def read_resource(self, ctx: Context, params: types.ReadResourceRequestParams) -> types.ReadResourceResult:
        uri = str(params.uri)
        if uri.endswith("/missing"):
            raise MCPError(
                types.INVALID_PARAMS if ctx.protocol_version >= "2026" else -32002, "no such item", {"uri": uri}
            )
        return types.ReadResourceResult(contents=[types.TextResourceContents(uri=uri, text=f"contents of {uri}")])

    async def subscribe(self, ctx: Context, params: types.SubscribeRequestParams) -> types.EmptyResult:
        self.subscribed.add(str(params.uri))
        return types.EmptyResult()

    async def unsubscribe(self, ctx: Context, params: types.UnsubscribeRequestParams) -> types.EmptyResult:
        self.subscribed.discard(str(params.uri))
        return types.EmptyResult()

    # -- the rest ------------------------------------------------------------------------------------------------

    async def list_prompts(self, ctx: Context, params: Any) -> types.ListPromptsResult:
        argument = types.PromptArgument(name="who", required=True)
        return types.ListPromptsResult(prompts=[types.Prompt(name="greet", arguments=[argument])])

    async def get_prompt(self, ctx: Context, params: types.GetPromptRequestParams) -> types.GetPromptResult:
        message = types.PromptMessage(role="user", content=text(f"Greet {(params.arguments or {}).get('who')}."))
        return types.GetPromptResult(messages=[message])

    async def complete(self, ctx: Context, params: types.CompleteRequestParams) -> types.CompleteResult:
        options = [word for word in ("Ada", "Alan", "Grace") if word.startswith(params.argument.value)]
        return types.CompleteResult(completion=types.Completion(values=options))

    async def set_level(self, ctx: Context, params: types.SetLevelRequestParams) -> types.EmptyResult:
        self.levels.append(params.level)
        return types.EmptyResult()

    async def hear(self, ctx: Context, params: types.NotificationParams) -> None:
        self.told.append(ctx.method)

    async def shout(self, ctx: Context, params: types.RequestParams) -> dict[str, Any]:
        return {"shout": "HEY", "era": ctx.protocol_version}


def text(value: str) -> types.TextContent:
    return types.TextContent(type="text", text=value)


def said(value: str, structured: dict[str, Any] | None = None) -> types.CallToolResult:
    return types.CallToolResult(content=[text(value)], structured_content=structured)


def http_app(server: Server[Any]) -> Starlette:
    return server.streamable_http_app()


def sse_app(server: Server[Any]) -> Starlette:
    transport = SseServerTransport("/messages/")

    async def handle(request: Request) -> Response:
        async with transport.connect_sse(request.scope, request.receive, request._send) as (incoming, outgoing):
            await serve_loop(server, incoming, outgoing, lifespan_state=None)
        return Response()

    return Starlette(routes=[Route("/sse", handle), Mount("/messages/", transport.handle_post_message)])


async def over_stdio(server: Server[Any], *, legacy: bool) -> None:
    async with stdio_server() as (incoming, outgoing):
        if legacy:
            await serve_loop(server, incoming, outgoing, lifespan_state=None)
        else:
            await server.run(incoming, outgoing, server.create_initialization_options())


class _Announcing(uvicorn.Server):
    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        print(f"http://127.0.0.1:{self.servers[0].sockets[0].getsockname()[1]}", flush=True)


def serve(app: Starlette) -> None:
    """Serve on a free port until the process ends; the URL is the first line of standard output."""
    _Announcing(uvicorn.Config(app, port=0, log_level="error", timeout_graceful_shutdown=0)).run()


def main(arguments: list[str], everything: Everything | None = None) -> None:
    server = (everything or Everything()).server()
    if "--http" in arguments or "--sse" in arguments:
        serve(http_app(server) if "--http" in arguments else sse_app(server))
    else:
        anyio.run(lambda: over_stdio(server, legacy="--legacy" in arguments))


if __name__ == "__main__":
    main(sys.argv[1:])
