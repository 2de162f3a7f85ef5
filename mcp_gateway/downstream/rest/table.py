"""All operations of REST (design, REST)."""

from __future__ import annotations

from typing import Final

from mcp_gateway.downstream.rest import acting, answers, looking, operating, requests
from mcp_gateway.downstream.rest.operation import Operation

_UPSTREAM: Final = (502, 503, 504)
_MODEL: Final = (502, 503, 504)

OPERATIONS: Final = (
    Operation("GET", "/servers", looking.servers, "List the servers.", answers.Servers, "read"),
    Operation(
        "POST",
        "/servers/{name:path}/restart",
        operating.restart,
        "Connect to a server anew.",
        answers.ServerDetail,
        "admin",
        body=requests.Nothing,
        failures=(404, 503),
    ),
    Operation(
        "GET",
        "/servers/{name:path}",
        looking.server,
        "Show a server.",
        answers.ServerDetail,
        "read",
        failures=(404,),
    ),
    Operation("GET", "/tools", looking.tools, "List the tools.", answers.Tools, "read"),
    Operation(
        "POST",
        "/tools/{name:path}/call",
        acting.call_tool,
        "Call a tool. A tool that fails answers 200 with `isError`.",
        answers.CallToolResult,
        body=requests.CallRequest,
        failures=(404, *_UPSTREAM),
        streams=True,
    ),
    Operation("GET", "/prompts", looking.prompts, "List the prompts.", answers.Prompts, "read"),
    Operation(
        "POST",
        "/prompts/{name:path}",
        acting.get_prompt,
        "Fill in a prompt.",
        answers.PromptResult,
        body=requests.PromptRequest,
        failures=(404, *_UPSTREAM),
    ),
    Operation("GET", "/resources", looking.resources, "List resources and templates.", answers.Resources, "read"),
    Operation(
        "POST",
        "/resources/read",
        acting.read_resource,
        "Read a resource.",
        answers.ReadResult,
        body=requests.ReadRequest,
        failures=(404, *_UPSTREAM),
    ),
    Operation(
        "POST",
        "/search",
        acting.search,
        "Search tools, resources, prompts and the web.",
        answers.Found,
        body=requests.SearchRequest,
        failures=(404, 503, 504),
    ),
    Operation(
        "POST",
        "/ask",
        acting.ask,
        "Have a model answer with the tools of all servers.",
        answers.Answer,
        body=requests.AskRequest,
        failures=(404, *_MODEL),
        streams=True,
    ),
    Operation(
        "POST",
        "/embeddings",
        acting.embeddings,
        "Make vectors of texts.",
        answers.Embeddings,
        "ask",
        body=requests.EmbeddingsRequest,
        failures=_MODEL,
    ),
    Operation("GET", "/status", looking.status, "Show the gateway in a page.", answers.Status, "read"),
    Operation("GET", "/calls", looking.calls, "Show the last calls.", answers.Calls, "read", query=requests.CallsQuery),
    Operation("GET", "/cache", looking.cache, "Show the cache's counters.", answers.CacheStatus, "read"),
    Operation(
        "DELETE",
        "/cache",
        operating.clear_cache,
        "Drop kept answers.",
        answers.Removed,
        "admin",
        query=requests.CacheQuery,
        failures=(404,),
    ),
    Operation("GET", "/pins", operating.pins, "Show withheld tool definitions.", answers.Pins, "admin"),
    Operation(
        "POST",
        "/pins/approve",
        operating.approve_pins,
        "Offer withheld tools again.",
        answers.Approved,
        "admin",
        body=requests.ApproveRequest,
        failures=(404,),
    ),
    Operation(
        "POST",
        "/reload",
        operating.reload,
        "Read the configuration again: all of it, or none.",
        answers.Reloaded,
        "admin",
        body=requests.Nothing,
    ),
)
