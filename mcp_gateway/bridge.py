"""Between protocol revisions: the one place where eras are translated.

A call in the caller's terms enters, the upstream's request leaves; the upstream's
result or error comes back in the caller's terms. Rules are pure functions of the
two revisions; `relay` is the only one that waits. Names and URIs are the gateway's
business, not this module's. What is asked and answered between two requests is
shaped here; the calls that wait for it meanwhile are in `parked_calls`.

    down \\ up   legacy                          modern
    legacy      as it is                        stamp the envelope, strip the result's; drive `input_required`
    modern      strip the envelope, complete    stamp again; pass
                the result; park questions
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from uuid import uuid4

import anyio
from mcp.shared.inbound import encode_header_value

from mcp_gateway.call import Call, Client, Sink
from mcp_gateway.capabilities import lacking
from mcp_gateway.errors import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    RESOURCE_NOT_FOUND,
    Cancelled,
    InvalidParams,
    InvalidRequestState,
    RpcError,
    UpstreamProtocolError,
)
from mcp_gateway.observe.trace import HEADER as TRACEPARENT
from mcp_gateway.parking import state_of
from mcp_gateway.revisions import (
    ASKING,
    CACHEABLE,
    CLIENT_CAPABILITIES,
    ENVELOPE_KEYS,
    HEADER_MISMATCH,
    LOG_LEVEL,
    MISSING_CLIENT_CAPABILITY,
    NAMED_BY,
    SERVER_INFO,
    UNSUPPORTED_PROTOCOL_VERSION,
    URL_ELICITATION_REQUIRED,
    at_least,
)
from mcp_gateway.upstream.session import GATEWAY_INFO, Link, Session, envelope, method_headers
from mcp_gateway.upstream.tasks import run_as_task, runs_only_as_task
from mcp_gateway.wire import Malformed, Raw, RawParams, encode, fields, loads

MAX_ROUNDS = 10
"""Rounds of questions one call may cause (protocol facts, 4.2)."""

BACK_OFF_S = 0.05
LONGEST_BACK_OFF_S = 0.25
"""Before a retry that answers nothing (protocol facts, 4.2)."""

ASKABLE = ("sampling/createMessage", "elicitation/create", "roots/list")

PUSHABLE = ("sampling", "elicitation", "roots")
"""Capabilities that a legacy client can be asked for over its session."""

VARIANTS_SINCE: Final = "2025-11-25"
"""Before, no client could open pages or sample with tools (2025-11-25, changelog); an elicitation had no `mode`."""

CANCELLED: Final = Raw(b'{"action":"cancel"}')
"""What an elicitation comes to that nobody answers."""

_NOT_IN_MODERN: Final = ("elicitationId", "task")
"""Members of a question that 2026-07-28 removed."""

_PROGRESS_TOKEN = "progressToken"  # noqa: S105 - a member's name, no credential
_COMPLETE = Raw(b'"complete"')


async def relay(link: Link, call: Call, sink: Sink) -> Raw:
    """Send a resolved call over a link, and bring the answer back in the caller's terms.

    Raises:
        RpcError: the upstream's error, translated where the revisions differ.
        GatewayError: as `Dispatcher.call`.
    """
    up = link.session
    if _asks_between(call, up.modern):
        _check_anew(call)
    params = outgoing(call, up)
    headers = outgoing_headers(call, params, up)
    try:
        raw = await _send(link, call, params, headers, sink)
        if up.modern and not call.client.modern:
            raw = await _drive(link, call, params, headers, sink, raw)
    except RpcError as refused:
        if (pages := pages_to_open(refused, call, up)) is not None:
            return input_required(pages, None)
        raise translated(refused, call, up) from None
    return incoming(raw, call, up)


async def _send(link: Link, call: Call, params: RawParams, headers: Mapping[str, str], sink: Sink) -> Raw:
    """A tool that runs only as a task refuses to run otherwise, and is called again as one."""
    try:
        return await link.dispatcher.call(call.method, params, sink, headers=headers)
    except RpcError as refused:
        if call.method != "tools/call" or not runs_only_as_task(refused, params, link.session):
            raise
    return await run_as_task(link, params, headers, sink)


# -- requests ----------------------------------------------------------------------------------------------------


def outgoing(call: Call, up: Session) -> RawParams:
    """The params as the upstream's revision wants them; what the caller's envelope said stays with us."""
    params = dict(call.params)
    meta = _meta(params.pop("_meta", None))
    kept = {key: value for key, value in meta.items() if key not in ENVELOPE_KEYS and key != _PROGRESS_TOKEN}
    if up.modern:
        kept |= envelope(declared(call.client, meta), up.revision)
        if call.log_level is not None:
            kept[LOG_LEVEL] = call.log_level
    elif call.client.modern:
        params.pop("inputResponses", None)
        params.pop("requestState", None)
    if call.trace.is_recorded:
        kept[TRACEPARENT] = call.trace.onward
    if kept:
        params["_meta"] = kept
    return params


def declared(client: Client, meta: Mapping[str, Any]) -> Any:
    """The capabilities a modern upstream is told: what this caller can answer on this very call."""
    if client.modern:
        return meta.get(CLIENT_CAPABILITIES, client.capabilities)
    variants = at_least(client.revision, VARIANTS_SINCE)
    return {name: client.capabilities[name] if variants else {} for name in PUSHABLE if name in client.capabilities}


def outgoing_headers(call: Call, params: RawParams, up: Session) -> dict[str, str]:
    """The trace, and what a modern upstream compares with the body (2026-07-28, streamable-http; SEP-2243).

    A caller's `_meta.traceparent` goes on as it is; to a caller's params that hold none, nothing is added, unless the
    call is recorded as a span: then both name that one (SEP-414).
    """
    headers = {TRACEPARENT: call.trace.onward}
    if not up.modern:
        return headers
    headers |= method_headers(call.method, up.revision)
    if call.method in NAMED_BY and call.route is not None:
        headers["Mcp-Name"] = encode_header_value(call.route.name)
    if call.route is not None and call.route.header_params:
        headers |= _param_headers(params.get("arguments"), call.route.header_params)
    return headers


def _param_headers(arguments: Any, names: Mapping[tuple[str, ...], str]) -> dict[str, str]:
    values = loads(encode(arguments)) if arguments is not None else {}
    headers: dict[str, str] = {}
    for path, header in names.items():
        value = values
        for step in path:
            value = value.get(step) if isinstance(value, dict) else None
        if value is not None:
            headers[header] = encode_header_value(_header_text(value))
    return headers


def _header_text(value: Any) -> str:
    return value if isinstance(value, str) else encode(value).decode()


# -- results -----------------------------------------------------------------------------------------------------


def incoming(raw: Raw, call: Call, up: Session) -> Raw:
    """The result in the caller's terms; bytes that need no change are not touched.

    Raises UpstreamProtocolError when a modern result has a type that nothing here knows, or a member that has to be
    read is not what its name says.
    """
    try:
        if call.client.modern:
            return raw if up.modern and "resultType" in _result(raw) else completed(raw, call.method)
        return stripped(raw, call) if up.modern else raw
    except Malformed:
        server = call.route.server if call.route else None
        raise UpstreamProtocolError(f"upstream {server!r} sent a result that cannot be read", server=server) from None


def shaped(raw: Raw, call: Call) -> Raw:
    """A result of the gateway's own, which is in no era yet, in the caller's."""
    return completed(raw, call.method) if call.client.modern else raw


def completed(raw: Raw, method: str) -> Raw:
    """For modern callers: `resultType` always, caching hints where they must be, our `serverInfo`."""
    result = _result(raw)
    out: dict[str, Any] = {"resultType": _COMPLETE, **result}
    if method in CACHEABLE:
        out = {"ttlMs": 0, "cacheScope": "private", **out}
    out["_meta"] = {SERVER_INFO: GATEWAY_INFO, **_meta(result.get("_meta"))}
    return Raw(encode(out))


def stripped(raw: Raw, call: Call) -> Raw:
    """For legacy callers: without the modern members (protocol facts, section 3, result shape)."""
    result: dict[str, Any] = dict(_result(raw))
    kind = result.pop("resultType", _COMPLETE)
    if bytes(kind) != b'"complete"':
        server = call.route.server if call.route else None
        raise UpstreamProtocolError(f"upstream {server!r} answered with a result type of its own", server=server)
    if call.method in CACHEABLE:
        result.pop("ttlMs", None)
        result.pop("cacheScope", None)
    meta = {key: value for key, value in _meta(result.pop("_meta", None)).items() if key != SERVER_INFO}
    if meta:
        result["_meta"] = meta
    structured = result.get("structuredContent")
    if structured is not None and not bytes(structured).lstrip().startswith(b"{"):
        _unstructure(result, structured)
    return Raw(encode(result))


def _unstructure(result: dict[str, Any], structured: Raw) -> None:
    """Structured content that is no object does not exist before 2026-07-28: make sure a text block holds it."""
    del result["structuredContent"]
    content = loads(result["content"]) if "content" in result else []
    if not any(isinstance(block, dict) and block.get("type") == "text" for block in content):
        result["content"] = [*content, {"type": "text", "text": bytes(structured).decode()}]


# -- questions that a legacy upstream asks a modern caller ---------------------------------------------------------


def parks(call: Call, up_modern: bool) -> bool:
    """Whether the call may have to wait for answers that only another request can bring."""
    can_be_asked = any(name in call.client.capabilities for name in PUSHABLE)
    return _asks_between(call, up_modern) and can_be_asked


def resumes(call: Call, up_modern: bool) -> bool:
    """Whether the request goes on with a call that waits here; a modern upstream keeps its own state."""
    return _asks_between(call, up_modern) and state_of(call.params) is not None


def _asks_between(call: Call, up_modern: bool) -> bool:
    return call.client.modern and not up_modern and call.method in ASKING


def input_required(questions: Mapping[str, tuple[str, RawParams]], state: str | None) -> Raw:
    """The result that asks: questions by key, in the terms of 2026-07-28 (basic/patterns/mrtr)."""
    requests = {key: _asked(method, params) for key, (method, params) in questions.items()}
    out: dict[str, Any] = {"resultType": "input_required", "inputRequests": requests}
    if state is not None:
        out["requestState"] = state
    return Raw(encode({**out, "_meta": {SERVER_INFO: GATEWAY_INFO}}))


def _asked(method: str, params: RawParams) -> dict[str, Any]:
    kept = {name: value for name, value in params.items() if name not in _NOT_IN_MODERN}
    meta = {name: value for name, value in _meta(kept.pop("_meta", None)).items() if name != _PROGRESS_TOKEN}
    if meta:
        kept["_meta"] = meta
    return {"method": method, "params": kept} if kept else {"method": method}


def answers(params: RawParams) -> dict[str, Raw]:
    """The answers that a request brings, by key, as a legacy upstream takes them. Raises InvalidParams."""
    try:
        brought = fields(encode(params.get("inputResponses") or {}))
    except Malformed:
        raise InvalidParams("params.inputResponses must be an object") from None
    return {key: _answer(key, answer) for key, answer in brought.items()}


def _answer(key: str, answer: Raw) -> Raw:
    try:
        members = fields(answer)
    except Malformed:
        raise InvalidParams(f"params.inputResponses[{key!r}] must be an object") from None
    return Raw(encode({name: value for name, value in members.items() if name != "resultType"}))


def is_told(method: str) -> bool:
    """Whether a modern caller may hear a legacy upstream's notification: 2026-07-28 removed the end of a page."""
    return method != _PAGE_DONE


_PAGE_DONE: Final = "notifications/elicitation/complete"


def pages_to_open(refused: RpcError, call: Call, up: Session) -> dict[str, tuple[str, RawParams]] | None:
    """The pages that a legacy upstream wants opened before it is called again (2025-11-25, URLElicitationRequired).

    None where that is not what it says, or not what a modern caller can do.
    """
    error = refused.error
    if up.modern or not call.client.modern or error["code"] != URL_ELICITATION_REQUIRED:
        return None
    data = error.get("data")
    wanted = data.get("elicitations") if isinstance(data, dict) else None
    pages = [page for page in wanted if isinstance(page, dict)] if isinstance(wanted, list) else []
    askable = call.method in ASKING and pages
    if not askable or any(lacking(_ELICIT, page, call.client.capabilities) for page in pages):
        return None
    return {f"{_PAGE}{number}": (_ELICIT, page) for number, page in enumerate(pages, 1)}


_ELICIT: Final = "elicitation/create"
_PAGE: Final = "page-"


def _check_anew(call: Call) -> None:
    """What reaches a legacy upstream makes it run the tool.

    Raises:
        InvalidRequestState: the request means to go on with a call that waits, and no such call came this way.
        Cancelled: the caller comes back from `pages_to_open` without having opened them.
    """
    if state_of(call.params) is not None:
        raise InvalidRequestState
    for key, answer in answers(call.params).items():
        if key.startswith(_PAGE) and loads(fields(answer).get("action", b"null")) != "accept":
            server = call.route.server if call.route else None
            raise Cancelled(f"a page that upstream {server!r} needs was not opened", server=server)


# -- questions that a modern upstream asks a legacy caller ---------------------------------------------------------


async def _drive(
    link: Link, call: Call, params: RawParams, headers: Mapping[str, str] | None, sink: Sink, raw: Raw
) -> Raw:
    """Put a modern upstream's questions to a legacy caller until the result is complete (protocol facts, 4.2)."""
    pages: list[str] = []
    back_off_s = BACK_OFF_S
    for _ in range(MAX_ROUNDS):
        result = _result(raw)
        if bytes(result.get("resultType", b"")) != b'"input_required"':
            _tell_done(sink, pages)
            return raw
        retry = dict(params)
        if "inputRequests" in result:
            questions = {
                key: (method, pushed(method, asked, call.client.revision, pages))
                for key, (method, asked) in _questions(result["inputRequests"]).items()
            }
            retry["inputResponses"] = await _answers(sink, questions)
            back_off_s = BACK_OFF_S
        else:
            await anyio.sleep(back_off_s)
            back_off_s = min(back_off_s * 2, LONGEST_BACK_OFF_S)
        if "requestState" in result:
            retry["requestState"] = result["requestState"]
        raw = await link.dispatcher.call(call.method, retry, sink, headers=headers)
    raise RpcError.of(INTERNAL_ERROR, f"the upstream asked for input more than {MAX_ROUNDS} times")


def pushed(method: str, params: RawParams, revision: str, pages: list[str]) -> RawParams:
    """A modern question in the terms of a legacy revision; the id that a page gets is added to `pages`.

    1. before 2025-11-25 an elicitation is a form and has no `mode`; 2. since then a page has an `elicitationId`.
    """
    if method != _ELICIT:
        return params
    if not at_least(revision, VARIANTS_SINCE):
        return {name: value for name, value in params.items() if name != "mode" or _text(value) == "url"}
    if _text(params.get("mode")) != "url":
        return params
    pages.append(str(uuid4()))
    return {**params, "elicitationId": pages[-1]}


def _tell_done(sink: Sink, pages: list[str]) -> None:
    for id in pages:
        sink.notify(_PAGE_DONE, {"elicitationId": id})


def _text(value: Any) -> Any:
    try:
        return loads(value) if isinstance(value, Raw) else value
    except Malformed:
        return None


def _questions(raw: Raw) -> dict[str, tuple[str, RawParams]]:
    """Key -> method and params. Raises UpstreamProtocolError for anything a client cannot be asked."""
    questions: dict[str, tuple[str, RawParams]] = {}
    try:
        for key, encoded in fields(raw).items():
            question = fields(encoded)
            method = loads(question.get("method", b"null"))
            if method not in ASKABLE:
                raise UpstreamProtocolError("the upstream asked for something that no client can be asked")
            questions[key] = method, dict(fields(question["params"])) if "params" in question else {}
    except Malformed:
        raise UpstreamProtocolError("the upstream asked for input in a shape of its own") from None
    return questions


async def _answers(sink: Sink, questions: Mapping[str, tuple[str, RawParams]]) -> dict[str, Raw]:
    """Ask all questions at once.

    Raises RpcError when the caller cannot or will not answer one; then the others are taken back.
    """
    answers: dict[str, Raw] = {}
    refusals: list[RpcError] = []

    async def ask(key: str, method: str, params: RawParams) -> None:
        try:
            answers[key] = await sink.request(method, params)
        except RpcError as refused:
            refusals.append(refused)
            group.cancel_scope.cancel()

    async with anyio.create_task_group() as group:
        for key, (method, params) in questions.items():
            group.start_soon(ask, key, method, params)
    if refusals:
        raise RpcError.of(INTERNAL_ERROR, f"the client did not answer: {refusals[0].error['message']}")
    return answers


# -- errors ------------------------------------------------------------------------------------------------------


def translated(refused: RpcError, call: Call, up: Session) -> RpcError:
    """An upstream's error in the caller's revision; within one era it is passed on unchanged.

    1. resource not found: -32002 up to 2025-11-25, -32602 from 2026-07-28 on;
    2. codes reserved by 2026-07-28 mean nothing when a legacy upstream used them for itself;
    3. a modern upstream's complaint about our envelope is not the legacy caller's fault.
    """
    if up.modern == call.client.modern:
        return refused
    error = refused.error
    code = error["code"]
    if call.client.modern:
        if code == RESOURCE_NOT_FOUND:
            return RpcError.of(INVALID_PARAMS, error["message"], error.get("data"))
        if -32099 <= code <= -32020:
            return RpcError.of(INTERNAL_ERROR, error["message"], {"upstreamCode": code})
        return refused
    if code == INVALID_PARAMS and call.method == "resources/read":
        return RpcError.of(RESOURCE_NOT_FOUND, error["message"], error.get("data"))
    if code in (HEADER_MISMATCH, MISSING_CLIENT_CAPABILITY, UNSUPPORTED_PROTOCOL_VERSION):
        return RpcError.of(INTERNAL_ERROR, error["message"], {"upstreamCode": code})
    return refused


def _meta(value: Any) -> dict[str, Any]:
    """The members of a `_meta`, raw where they came raw."""
    if value is None:
        return {}
    if isinstance(value, dict):
        return value
    return dict(fields(value))


def _result(raw: Raw) -> Mapping[str, Raw]:
    try:
        return fields(raw)
    except Malformed:
        raise UpstreamProtocolError("the upstream answered with a result that is not an object") from None
