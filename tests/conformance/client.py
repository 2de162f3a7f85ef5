"""The client that the suite's client scenarios start: a gateway in front of their server, and somebody who uses it.

    python -m tests.conformance.client URL

What the suite scores is what reaches its server, which the gateway sends: so somebody lists all, calls every tool,
reads every resource and gets every prompt. MCP_CONFORMANCE_PROTOCOL_VERSION says which era to come in with, and
MCP_CONFORMANCE_CONTEXT may hold the calls to make instead, `{"toolCalls": [{"name", "arguments"}]}`.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import anyio
import mcp_types as types
from mcp import Client

from tests.interaction.house import gateway

ALONE = {name: {"enabled": False} for name in ("search", "ask", "execute", "analyze_code", "sysinfo")}
"""No tools but the suite's."""

SAMPLES: Mapping[str, Any] = {"string": "text", "number": 1.5, "integer": 1, "boolean": True, "object": {}, "array": []}


async def use(url: str, mode: str, context: Mapping[str, Any]) -> None:
    async with Client(url, mode=mode, elicitation_callback=agree) as client:
        tools = (await client.list_tools()).tools
        for name, arguments in calls(tools, context):
            await client.call_tool(name, arguments)
        for resource in (await client.list_resources()).resources:
            await client.read_resource(str(resource.uri))
        for prompt in (await client.list_prompts()).prompts:
            await client.get_prompt(prompt.name, {each.name: "text" for each in prompt.arguments or []})


async def agree(context: Any, params: types.ElicitRequestParams) -> types.ElicitResult:
    """Accept with the defaults of the form, as a person does who changes nothing (SEP-1034)."""
    assert isinstance(params, types.ElicitRequestFormParams)
    fields = params.requested_schema["properties"]
    return types.ElicitResult(
        action="accept", content={name: field.get("default", SAMPLES[field["type"]]) for name, field in fields.items()}
    )


def calls(tools: list[types.Tool], context: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The calls that the scenario asks for, else one of each tool; an argument named `schema` is the first tool's."""
    if asked := context.get("toolCalls"):
        yield from ((call["name"], call["arguments"]) for call in asked)
        return
    for tool in tools:
        fields = tool.input_schema.get("properties", {})
        arguments = {
            name: SAMPLES.get(fields[name].get("type"), "text") for name in tool.input_schema.get("required", [])
        }
        yield tool.name, arguments | ({"schema": tools[0].input_schema} if "schema" in fields else {})


async def main(url: str) -> None:
    revision = os.environ["MCP_CONFORMANCE_PROTOCOL_VERSION"]
    context = json.loads(os.environ.get("MCP_CONFORMANCE_CONTEXT", "{}"))
    expose = {"prefix": "never", "mode": "all"}
    config = {"mcpServers": {"suite": {"url": url}}, "expose": expose, "tools": ALONE}
    with tempfile.TemporaryDirectory() as folder:
        async with gateway(Path(folder), config) as (_, doors):
            await use(f"{doors.origin}/mcp", "auto" if revision >= "2026-07-28" else "legacy", context)


if __name__ == "__main__":
    anyio.run(main, sys.argv[1])
