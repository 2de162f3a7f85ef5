"""`SamplingService`: the host's own model, asked through the call it made (`sampling/createMessage`).

Only a client of the session eras that offers sampling can be asked; one per call, never shared. Tools are offered
where the client says that its sampling knows them (2025-11-25, client/sampling#tools).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from mcp_gateway.call import Client, Sink
from mcp_gateway.errors import ModelRefused, ModelUnavailable, RpcError
from mcp_gateway.llm.assembly import Assembly
from mcp_gateway.llm.messages import LLMResponse, Message, Request
from mcp_gateway.llm.service import Capabilities, LLMService, Mode
from mcp_gateway.wire import Malformed, loads

MAX_TOKENS: Final = 4096
"""The protocol wants a limit; used where the request has none (our choice)."""


def can_sample(client: Client) -> bool:
    return not client.modern and isinstance(client.capabilities.get("sampling"), dict)


class SamplingService(LLMService):
    """The model behind one caller."""

    mode = Mode.SAMPLING

    def __init__(self, client: Client, sink: Sink) -> None:
        super().__init__()
        self._sink = sink
        self.capabilities = Capabilities(tools="tools" in client.capabilities.get("sampling", {}))

    async def complete(self, request: Request) -> LLMResponse:
        try:
            answered = loads(await self._sink.request("sampling/createMessage", self._params(request)))
        except RpcError as refused:
            raise ModelRefused(f"the client refused to be asked: {refused.error['message']}") from None
        except Malformed:
            raise ModelUnavailable("the client's answer is not valid JSON") from None
        return _response(answered)

    def _params(self, request: Request) -> dict[str, Any]:
        systems = [message["content"] for message in request.messages if message["role"] == "system"]
        params: dict[str, Any] = {
            "messages": _turns([_turn(message) for message in request.messages if message["role"] != "system"]),
            "maxTokens": request.max_tokens or MAX_TOKENS,
        }
        if systems:
            params["systemPrompt"] = "\n\n".join(systems)
        if request.temperature is not None:
            params["temperature"] = request.temperature
        if request.tools and self.capabilities.tools:
            params["tools"] = [_tool(tool["function"]) for tool in request.tools]
            params["toolChoice"] = {"mode": request.tool_choice}
        return params


def _tool(function: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": function["name"],
        "description": function["description"],
        "inputSchema": function["parameters"],
    }


def _turn(message: Message) -> tuple[str, list[dict[str, Any]]]:
    if message["role"] == "tool":
        content = [{"type": "text", "text": message["content"]}]
        return "user", [{"type": "tool_result", "toolUseId": message["tool_call_id"], "content": content}]
    blocks: list[dict[str, Any]] = [{"type": "text", "text": message["content"]}] if message.get("content") else []
    for call in message.get("tool_calls", ()):
        function = call["function"]
        blocks.append(
            {"type": "tool_use", "id": call["id"], "name": function["name"], "input": _object(function["arguments"])}
        )
    return ("assistant" if message["role"] == "assistant" else "user"), blocks


def _turns(turns: list[tuple[str, list[dict[str, Any]]]]) -> list[dict[str, Any]]:
    """Results of one round belong into one message, apart from other text (2025-11-25, client/sampling)."""
    merged: list[dict[str, Any]] = []
    for role, blocks in turns:
        if merged and _is_result(blocks) and merged[-1]["role"] == role and _is_result(merged[-1]["content"]):
            merged[-1]["content"] += blocks
        elif blocks:
            merged.append({"role": role, "content": blocks})
    return [_plain(turn) for turn in merged]


def _is_result(blocks: list[dict[str, Any]]) -> bool:
    return bool(blocks) and blocks[0]["type"] == "tool_result"


def _plain(turn: dict[str, Any]) -> dict[str, Any]:
    """One block stands by itself: clients before 2025-11-25 know no list."""
    blocks = turn["content"]
    return turn | {"content": blocks[0]} if len(blocks) == 1 else turn


def _object(arguments: str) -> dict[str, Any]:
    try:
        decoded = json.loads(arguments or "{}")
    except ValueError:
        return {}
    return decoded if isinstance(decoded, dict) else {}


def _response(answered: Any) -> LLMResponse:
    if not isinstance(answered, dict):
        raise ModelUnavailable("the client's answer is no sampling result")
    content = answered.get("content")
    assembly = Assembly()
    for block in content if isinstance(content, list) else [content]:
        if not isinstance(block, dict):
            continue
        if block.get("type") == "text":
            assembly.add_text(str(block.get("text", "")))
        elif block.get("type") == "tool_use":
            assembly.add_call(None, str(block.get("id", "")), str(block.get("name", "")), block.get("input"))
    assembly.finish({"maxTokens": "length", "toolUse": "tool_calls"}.get(str(answered.get("stopReason")), "stop"))
    assembly.model = str(answered.get("model", ""))
    return assembly.response()
