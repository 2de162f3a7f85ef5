"""The language model behind `ask` and embeddings, whoever provides it, and the loop that lets it use tools.

A *service* answers one turn. A *toolbox* is the allow-list of one ask. A *round* is the calls of one turn. A *state* is
where an ask stands; it can be kept and gone on with. Routing, searching and asking people come in as callables.
"""

from mcp_gateway.llm.messages import LLMChunk, LLMResponse, Request, TextDelta, ToolCall, Usage
from mcp_gateway.llm.providers import open_service
from mcp_gateway.llm.service import Capabilities, LLMService, Mode, Settings

__all__ = [
    "Capabilities",
    "LLMChunk",
    "LLMResponse",
    "LLMService",
    "Mode",
    "Request",
    "Settings",
    "TextDelta",
    "ToolCall",
    "Usage",
    "open_service",
]
