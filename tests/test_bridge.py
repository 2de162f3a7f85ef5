"""Between revisions: what is stamped, stripped, asked and translated."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from mcp_gateway.bridge import (
    MAX_ROUNDS,
    answers,
    completed,
    declared,
    incoming,
    input_required,
    outgoing,
    outgoing_headers,
    pages_to_open,
    parks,
    pushed,
    relay,
    resumes,
    translated,
)
from mcp_gateway.call import QUIET, Call, Client
from mcp_gateway.catalog import Kind, Route
from mcp_gateway.catalog.headers import header_params
from mcp_gateway.errors import InvalidRequestState, RpcError, UpstreamProtocolError
from mcp_gateway.revisions import CLIENT_CAPABILITIES, LATEST_LEGACY, LATEST_MODERN, LOG_LEVEL, PROTOCOL_VERSION
from mcp_gateway.upstream.session import Link, Session
from mcp_gateway.wire import Raw, RawParams, loads

OLD, NEW = Session(LATEST_LEGACY), Session(LATEST_MODERN)


def call(revision: str, method: str = "tools/call", **more: Any) -> Call:
    client = Client("me", revision=revision, capabilities={"sampling": {}, "roots": {}, "experimental": {"x": {}}})
    params = {"name": "tool", "_meta": {PROTOCOL_VERSION: LATEST_MODERN, "progressToken": 1, "vendor/x": None}}
    return Call(method, params, client, **more)


def test_a_legacy_upstream_sees_nothing_of_the_envelope() -> None:
    assert outgoing(call(LATEST_MODERN), OLD) == {"name": "tool", "_meta": {"vendor/x": None}}


def test_a_modern_upstream_gets_our_envelope_and_the_callers_log_level() -> None:
    meta = outgoing(call(LATEST_LEGACY, log_level="info"), NEW)["_meta"]

    assert meta[PROTOCOL_VERSION] == LATEST_MODERN
    assert meta[LOG_LEVEL] == "info"
    assert meta[CLIENT_CAPABILITIES] == {"sampling": {}, "roots": {}}
    assert meta["vendor/x"] is None
    assert "progressToken" not in meta


def test_a_modern_callers_capabilities_are_those_of_the_call() -> None:
    assert declared(call(LATEST_MODERN).client, {CLIENT_CAPABILITIES: {"elicitation": {}}}) == {"elicitation": {}}


CITY = {"type": "string", "x-mcp-header": "City"}
COUNT = {"type": "number", "x-mcp-header": "N"}
GONE = {"type": "string", "x-mcp-header": "Gone"}


def test_a_modern_upstream_gets_headers_under_its_own_name() -> None:
    names = header_params(
        {"properties": {"where": {"type": "object", "properties": {"city": CITY}}, "n": COUNT, "gone": GONE}}
    )
    route = Route(Kind.TOOL, "up", "up__tool", "tööl", names)
    made = call(LATEST_LEGACY, route=route)
    headers = outgoing_headers(made, {"arguments": {"where": {"city": "Ulm"}, "n": 1.5}}, NEW)

    assert headers is not None
    assert headers["Mcp-Method"] == "tools/call"
    assert headers["Mcp-Name"].startswith("=?base64?")
    assert (headers["Mcp-Param-City"], headers["Mcp-Param-N"]) == ("Ulm", "1.5")
    assert "Mcp-Param-Gone" not in headers
    assert outgoing_headers(made, {}, OLD) == {"traceparent": made.trace.onward}


@pytest.mark.parametrize(("revision", "up"), [(LATEST_LEGACY, OLD), (LATEST_MODERN, NEW)])
def test_within_an_era_bytes_are_not_touched(revision: str, up: Session) -> None:
    raw = Raw(b'{ "resultType":"complete", "content":[ ] }')

    assert incoming(raw, call(revision), up) is raw


def test_a_legacy_result_is_completed_for_a_modern_caller() -> None:
    result = loads(completed(Raw(b'{"contents":[],"_meta":{"x":1}}'), "resources/read"))

    assert (result["resultType"], result["ttlMs"], result["cacheScope"]) == ("complete", 0, "private")
    assert result["_meta"]["x"] == 1
    assert "ttlMs" not in loads(completed(Raw(b"{}"), "tools/call"))


def test_a_modern_result_is_stripped_for_a_legacy_caller() -> None:
    raw = Raw(b'{"resultType":"complete","ttlMs":1,"cacheScope":"public","contents":[]}')

    assert loads(incoming(raw, call(LATEST_LEGACY, "resources/read"), NEW)) == {"contents": []}


@pytest.mark.parametrize("structured", ["[1]", "7", '"x"', "null"])
def test_structured_content_that_is_no_object_becomes_text_for_a_legacy_caller(structured: str) -> None:
    raw = Raw(b'{"resultType":"complete","content":[],"structuredContent":%b}' % structured.encode())

    assert loads(incoming(raw, call(LATEST_LEGACY), NEW)) == {"content": [{"type": "text", "text": structured}]}


@pytest.mark.parametrize("raw", [b'{"resultType":"vendor/x"}', b"[]", b"7", b'{"_meta":7}'])
def test_a_result_no_caller_knows_is_a_protocol_error(raw: bytes) -> None:
    with pytest.raises(UpstreamProtocolError):
        incoming(Raw(raw), call(LATEST_LEGACY), NEW)


def test_a_member_that_is_not_what_its_name_says_is_a_protocol_error() -> None:
    with pytest.raises(UpstreamProtocolError):
        incoming(Raw(b'{"_meta":"x"}'), call(LATEST_MODERN), OLD)


@pytest.mark.parametrize(
    ("revision", "up", "method", "code", "expected"),
    [
        (LATEST_LEGACY, OLD, "resources/read", -32002, -32002),
        (LATEST_MODERN, OLD, "resources/read", -32002, -32602),
        (LATEST_MODERN, OLD, "tools/call", -32021, -32603),
        (LATEST_MODERN, OLD, "tools/call", -32000, -32000),
        (LATEST_LEGACY, NEW, "resources/read", -32602, -32002),
        (LATEST_LEGACY, NEW, "tools/call", -32602, -32602),
        (LATEST_LEGACY, NEW, "tools/call", -32020, -32603),
        (LATEST_LEGACY, NEW, "tools/call", -32022, -32603),
        (LATEST_LEGACY, NEW, "tools/call", -1, -1),
    ],
)
def test_an_error_has_the_code_of_the_callers_revision(
    revision: str, up: Session, method: str, code: int, expected: int
) -> None:
    error = translated(RpcError.of(code, "why", {"x": 1}), call(revision, method), up).error

    assert (error["code"], error["message"]) == (expected, "why")


# -- questions ---------------------------------------------------------------------------------------------------


class Scripted:
    """A modern upstream's wire that answers from a list and remembers what it was sent."""

    def __init__(self, *answers: bytes) -> None:
        self.sent: list[RawParams] = []
        self._answers = list(answers)

    async def call(self, method: str, params: RawParams, sink: Any, *, headers: Any = None) -> Raw:
        self.sent.append(params)
        return Raw(self._answers.pop(0) if len(self._answers) > 1 else self._answers[0])


class Answering:
    """A caller that answers every question, or refuses."""

    owner = "me"
    token: str | int | None = None

    def __init__(self, refusal: RpcError | None = None) -> None:
        self.asked: list[str] = []
        self._refusal = refusal

    def notify(self, method: str, params: RawParams) -> None:
        raise AssertionError

    async def request(self, method: str, params: RawParams) -> Raw:
        self.asked.append(method)
        if self._refusal is not None:
            raise self._refusal
        return Raw(b'{"roots":[]}')


async def driven(wire: Scripted, sink: Any) -> Any:
    link = Link(wire, NEW)  # type: ignore[arg-type]  # of a `Dispatcher` only `call` is used
    return loads(await relay(link, call(LATEST_LEGACY), sink))


DONE = b'{"resultType":"complete","content":[]}'
TWO = (
    b'{"resultType":"input_required","requestState":"s","inputRequests":'
    b'{"a":{"method":"roots/list"},"b":{"method":"roots/list","params":{}}}}'
)


async def test_questions_are_put_to_the_caller_and_the_call_is_sent_again() -> None:
    wire, sink = Scripted(TWO, DONE), Answering()

    assert await driven(wire, sink) == {"content": []}
    assert sink.asked == ["roots/list", "roots/list"]
    assert bytes(wire.sent[1]["requestState"]) == b'"s"'
    assert wire.sent[1]["inputResponses"].keys() == {"a", "b"}


async def test_a_round_without_questions_is_sent_again_with_its_state() -> None:
    wire = Scripted(b'{"resultType":"input_required","requestState":"s"}', DONE)

    assert await driven(wire, QUIET) == {"content": []}
    assert "inputResponses" not in wire.sent[1]


async def test_a_caller_that_refuses_fails_the_call_with_its_reason() -> None:
    with pytest.raises(RpcError) as refused:
        await driven(Scripted(TWO), Answering(RpcError.of(-1, "not now")))

    assert refused.value.error == {"code": -32603, "message": "the client did not answer: not now"}


async def test_an_upstream_that_never_has_enough_is_given_up() -> None:
    wire = Scripted(TWO)
    with pytest.raises(RpcError):
        await driven(wire, Answering())

    assert len(wire.sent) == MAX_ROUNDS + 1


@pytest.mark.parametrize(
    "questions", [b"[]", b"7", b'{"a":7}', b'{"a":{}}', b'{"a":{"method":"tools/call"}}', b'{"a":{"method":7}}']
)
async def test_a_question_no_client_can_be_asked_is_a_protocol_error(questions: bytes) -> None:
    sink = Answering()
    with pytest.raises(UpstreamProtocolError):
        await driven(Scripted(b'{"resultType":"input_required","inputRequests":%b}' % questions), sink)

    assert sink.asked == []


# -- questions of a legacy upstream ------------------------------------------------------------------------------------


def test_what_is_asked_leaves_out_what_2026_removed() -> None:
    params = {"mode": "url", "elicitationId": "1", "task": {}, "_meta": {"progressToken": 1, "vendor/x": 2}}
    result = loads(input_required({"1": ("elicitation/create", params), "2": ("roots/list", {})}, "state"))

    assert result["inputRequests"] == {
        "1": {"method": "elicitation/create", "params": {"mode": "url", "_meta": {"vendor/x": 2}}},
        "2": {"method": "roots/list"},
    }
    assert (result["resultType"], result["requestState"]) == ("input_required", "state")


def test_answers_reach_a_legacy_upstream_without_the_members_of_2026() -> None:
    raw = Raw(b'{"1":{"resultType":"complete","action":"accept"}}')

    assert bytes(answers({"inputResponses": raw})["1"]) == b'{"action":"accept"}'
    assert answers({}) == answers({"inputResponses": None}) == {}


PAGE = {"mode": "url", "message": "open it", "url": "https://example.com", "elicitationId": "1"}
URL_CLIENT = Client("me", capabilities={"elicitation": {"url": {}}})


def wall(*pages: Any, code: int = -32042) -> RpcError:
    return RpcError.of(code, "first", {"elicitations": list(pages)})


@pytest.mark.parametrize(
    ("refused", "client", "method", "up", "asks"),
    [
        (wall(PAGE), URL_CLIENT, "tools/call", OLD, True),
        (wall(PAGE, 7), URL_CLIENT, "prompts/get", OLD, True),
        (wall(PAGE), URL_CLIENT, "completion/complete", OLD, False),
        (wall(PAGE), URL_CLIENT, "tools/call", NEW, False),
        (wall(PAGE, code=-32000), URL_CLIENT, "tools/call", OLD, False),
        (wall(), URL_CLIENT, "tools/call", OLD, False),
        (RpcError.of(-32042, "first", [PAGE]), URL_CLIENT, "tools/call", OLD, False),
        (RpcError.of(-32042, "first", {"elicitations": 7}), URL_CLIENT, "tools/call", OLD, False),
        (wall(PAGE), Client("me", capabilities={"elicitation": {}}), "tools/call", OLD, False),
        (wall(PAGE), replace(URL_CLIENT, revision=LATEST_LEGACY), "tools/call", OLD, False),
    ],
)
def test_a_page_is_asked_for_where_the_caller_can_open_it(
    refused: RpcError, client: Client, method: str, up: Session, asks: bool
) -> None:
    pages = pages_to_open(refused, Call(method, {}, client), up)

    assert pages == ({"page-1": ("elicitation/create", PAGE)} if asks else None)


@pytest.mark.parametrize("revision", [LATEST_MODERN, LATEST_LEGACY])
@pytest.mark.parametrize("method", ["tools/call", "completion/complete"])
@pytest.mark.parametrize("up_modern", [True, False])
def test_only_stateless_callers_of_legacy_upstreams_wait_for_answers(
    revision: str, method: str, up_modern: bool
) -> None:
    waits = revision == LATEST_MODERN and method == "tools/call" and not up_modern

    assert parks(call(revision, method), up_modern) is waits
    made = call(revision, method)
    assert not resumes(made, up_modern)
    made.params["requestState"] = Raw(b'"x"')
    assert resumes(made, up_modern) is waits


def test_a_caller_that_declares_nothing_never_waits() -> None:
    assert not parks(Call("tools/call", {}, Client("me", capabilities={"experimental": {}})), False)


async def test_a_request_with_a_state_never_runs_a_legacy_tool() -> None:
    wire = Scripted(b"{}")
    made = call(LATEST_MODERN)
    made.params["requestState"] = "of an upstream that spoke 2026-07-28 before"
    with pytest.raises(InvalidRequestState):
        await relay(Link(wire, OLD), made, QUIET)  # type: ignore[arg-type]  # of a `Dispatcher` only `call` is used

    assert wire.sent == []


# -- questions of a modern upstream ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("revision", "mode", "expected"),
    [
        ("2025-06-18", "form", {"message": "m"}),
        ("2025-06-18", "url", {"message": "m", "mode": "url"}),
        ("2025-11-25", "form", {"message": "m", "mode": "form"}),
    ],
)
def test_an_elicitation_is_put_in_the_terms_of_the_session(revision: str, mode: str, expected: Any) -> None:
    pages: list[str] = []

    assert pushed("elicitation/create", {"message": "m", "mode": mode}, revision, pages) == expected
    assert pages == []


def test_a_page_gets_an_id_of_its_own() -> None:
    pages: list[str] = []
    params = pushed("elicitation/create", {"mode": Raw(b'"url"')}, "2025-11-25", pages)

    assert [params["elicitationId"]] == pages
    assert pushed("roots/list", {}, "2025-11-25", pages) == {}


def test_a_modern_upstream_is_told_of_variants_only_where_the_session_has_them() -> None:
    able: dict[str, Any] = {"elicitation": {"form": {}, "url": {}}, "sampling": {"tools": {}}}

    assert declared(Client("me", "2025-11-25", able), {}) == able
    assert declared(Client("me", "2025-06-18", able), {}) == {"elicitation": {}, "sampling": {}}
