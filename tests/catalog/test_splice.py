"""URIs inside messages."""

from __future__ import annotations

import pytest
from mcp_gateway.catalog import Catalog, Kind, Route, result_uris, rewrite_uris, upstream_params
from mcp_gateway.wire import Raw, encode, loads

from tests.catalog.offers import listed, offer, tool


def mark(uri: str) -> str:
    return f"x-b+{uri}" if uri.startswith("c:") else uri


def rewritten(method: str, body: str) -> str:
    return bytes(rewrite_uris(method, Raw(body.encode()), mark)).decode()


@pytest.mark.parametrize(
    ("method", "body", "expected"),
    [
        (
            "resources/read",
            '{"contents":[{"uri":"c:1","text":"c:1 \\u00e9", "n": 1.0E1}, {"uri":"d:1"}],"_meta":{ "a" : 1}}',
            '{"contents":[{"uri":"x-b+c:1","text":"c:1 \\u00e9","n":1.0E1},{"uri":"d:1"}],"_meta":{ "a" : 1}}',
        ),
        (
            "tools/call",
            '{"content":[{"type":"resource_link","uri":"c:1"},{"type":"resource","resource":{"uri":"c:2","blob":"QQ=="}}],'
            '"structuredContent":{ "uri" : "c:3" }}',
            '{"content":[{"type":"resource_link","uri":"x-b+c:1"},{"type":"resource","resource":{"uri":"x-b+c:2","blob":"QQ=="}}],'
            '"structuredContent":{ "uri" : "c:3" }}',
        ),
        (
            "prompts/get",
            '{"messages":[{"role":"user","content":{"type":"resource","resource":{"uri":"c:1"}}}]}',
            '{"messages":[{"role":"user","content":{"type":"resource","resource":{"uri":"x-b+c:1"}}}]}',
        ),
        (
            "sampling/createMessage",
            '{"messages":[{"content":[{"type":"tool_result","content":[{"type":"resource_link","uri":"c:1"}]}]}]}',
            '{"messages":[{"content":[{"type":"tool_result","content":[{"type":"resource_link","uri":"x-b+c:1"}]}]}]}',
        ),
        ("notifications/resources/updated", '{"uri":"c:1"}', '{"uri":"x-b+c:1"}'),
        (
            "tools/call",
            '{"inputRequests":{"1":{"method":"sampling/createMessage","params":{"messages":[{"content":{"uri":"c:1"}}]}},'
            '"2":{"method":"elicitation/create","params":{"uri":"c:1"}}}}',
            '{"inputRequests":{"1":{"method":"sampling/createMessage","params":{"messages":[{"content":{"uri":"x-b+c:1"}}]}},'
            '"2":{"method":"elicitation/create","params":{"uri":"c:1"}}}}',
        ),
    ],
)
def test_uris_are_spliced_and_the_rest_keeps_its_bytes(method: str, body: str, expected: str) -> None:
    assert rewritten(method, body) == expected


@pytest.mark.parametrize(
    ("method", "body"),
    [
        ("resources/read", '{ "contents" : [ { "uri" : "d:1" } ] }'),
        ("resources/read", '{ "contents" : 7, "uri": "c:1" }'),
        ("resources/read", '{ "contents" : [ 7, {"uri": 5} ] }'),
        ("tools/call", '{ "content" : "c:1", "x": {"uri": "c:1"} }'),
        ("tools/call", '[ {"uri": "c:1"} ]'),
        ("tools/call", '{ "inputRequests" : [ {"uri": "c:1"} ] }'),
        ("tools/call", '{ "inputRequests" : { "1" : 5, "uri": "c:1" } }'),
        ("tools/list", '{ "uri" : "c:1" }'),
        ("prompts/get", '{ "messages" : [] }'),
    ],
)
def test_bodies_without_such_uris_come_back_unchanged(method: str, body: str) -> None:
    assert rewritten(method, body) == body


def test_uris_in_results_can_be_collected() -> None:
    body = Raw(b'{"content":[{"uri":"c:1"},{"resource":{"uri":"d:2"}}]}')
    assert result_uris("tools/call", body) == ("c:1", "d:2")


def test_only_servers_that_lost_a_collision_are_rewritten() -> None:
    catalog = Catalog.build([offer("a", resources=["c:1"]), offer("b", resources=["c:1"])])
    body = Raw(b'{ "contents" : [{"uri":"c:1"}]}')
    assert catalog.rewrite_uris("a", "resources/read", body) is body
    assert bytes(catalog.rewrite_uris("b", "resources/read", body)) == b'{"contents":[{"uri":"x-b+c:1"}]}'


def test_a_tools_interface_follows_its_rewritten_resource() -> None:
    meta = {"ui": {"resourceUri": "ui:1", "k": 1}, "ui/resourceUri": "ui:1", "other": "ui:1"}
    offers = [offer("a", resources=["ui:1"]), offer("b", tools=[tool("t", _meta=meta), tool("u")], resources=["ui:1"])]
    assert listed(Catalog.build(offers))[0]["_meta"] == {
        "ui": {"resourceUri": "x-b+ui:1", "k": 1},
        "ui/resourceUri": "x-b+ui:1",
        "other": "ui:1",
    }


@pytest.mark.parametrize(
    ("method", "kind", "params", "expected"),
    [
        ("tools/call", Kind.TOOL, {"name": "s__n", "arguments": 1}, {"name": "n", "arguments": 1}),
        ("prompts/get", Kind.PROMPT, {"name": "s__n"}, {"name": "n"}),
        ("resources/read", Kind.RESOURCE, {"uri": "x-s+n"}, {"uri": "n"}),
        ("resources/subscribe", Kind.RESOURCE, {"uri": "x-s+n"}, {"uri": "n"}),
        (
            "completion/complete",
            Kind.PROMPT,
            {"ref": Raw(b'{"type":"ref/prompt","name":"s__n"}'), "argument": 1},
            {"ref": {"type": "ref/prompt", "name": "n"}, "argument": 1},
        ),
        (
            "completion/complete",
            Kind.TEMPLATE,
            {"ref": {"type": "ref/resource", "uri": "x-s+n"}},
            {"ref": {"type": "ref/resource", "uri": "n"}},
        ),
    ],
)
def test_params_get_the_upstreams_own_name(
    method: str, kind: Kind, params: dict[str, object], expected: dict[str, object]
) -> None:
    given = dict(params)
    assert loads(encode(upstream_params(method, params, Route(kind, "s", "s__n", "n")))) == expected
    assert params == given
