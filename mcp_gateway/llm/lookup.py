"""An ask without a model: the tools that fit, best first, in the shape of every other answer."""

from __future__ import annotations

from mcp_gateway.llm.bounds import StopReason
from mcp_gateway.llm.messages import user
from mcp_gateway.llm.result import AskResult
from mcp_gateway.llm.running import Search
from mcp_gateway.llm.service import LLMService
from mcp_gateway.llm.toolbox import Choice, Tool


async def looked_up(
    service: LLMService, tools: list[Tool], choice: Choice, search: Search, question: str, limit: int
) -> AskResult:
    """Nothing is called, so tools that change things are named too. Raises what the service raises."""
    known = {tool.name: tool for tool in tools if choice.admits(tool)}
    names = await search([question], 4 * limit)
    best = [known[name].function for name in names if name in known][:limit]
    response = await service.generate_response([user(question)], tools=best)
    return AskResult(answer=response.text, model=service.model, mode=service.mode, stop_reason=StopReason.COMPLETED)
