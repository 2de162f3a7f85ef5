"""What is told of a call that has ended."""

from __future__ import annotations

import time
from typing import Any

import anyio
import pytest
from mcp_gateway.call import Call, Client
from mcp_gateway.catalog import Kind, Route
from mcp_gateway.errors import InvalidParams, Overloaded, RateLimited, RpcError, UnknownName, UpstreamTimeout
from mcp_gateway.events import CallEnded, CallStarted, Events
from mcp_gateway.middleware import Next
from mcp_gateway.middleware.audit import MAX_ARGUMENTS_BYTES, MAX_TEXT, Arguments, Audit, AuditRules, digest
from mcp_gateway.observe.redaction import Redactor
from mcp_gateway.wire import Raw

ROUTE = Route(Kind.TOOL, "up", "up__echo", "echo")
SECRET = "a-secret-of-the-test"


class Told:
    """An `Audit`, and what it told."""

    def __init__(self) -> None:
        self.calls: list[Any] = []
        events, redactor = Events(), Redactor()
        redactor.know([SECRET])
        events.subscribe(self.calls.append)
        self.audit = Audit(events, redactor.clean, AuditRules("policy"))

    @property
    def one(self) -> CallEnded:
        (call,) = self.ended
        return call

    @property
    def ended(self) -> list[CallEnded]:
        return [event for event in self.calls if isinstance(event, CallEnded)]


def call(arguments: Any = None, **parts: Any) -> Call:
    params = {"name": "up__echo"} | ({} if arguments is None else {"arguments": arguments})
    made = Call("tools/call", params, Client("key", door="rest", info={"name": "tester"}))
    for name, value in {"route": ROUTE, **parts}.items():
        setattr(made, name, value)
    return made


def giving(raw: bytes) -> Next:
    async def next(call: Call) -> Raw:
        return Raw(raw)

    return next


def raising(failure: BaseException) -> Next:
    async def next(call: Call) -> Raw:
        raise failure

    return next


async def test_a_call_is_told_with_who_what_and_how() -> None:
    told, made = Told(), call()
    raw = await told.audit(made, giving(b"{}"))

    one = told.one
    assert bytes(raw) == b"{}"
    assert (one.principal, one.client, one.door, one.method) == ("local", "tester", "rest", "tools/call")
    assert (one.server, one.tool, one.outcome, one.policy) == ("up", "echo", "ok", "policy")
    assert (one.trace, one.span) == (made.trace.id, made.trace.span)
    assert abs(time.time() - one.at) < 60
    assert 0 <= one.duration_s < 60


async def test_a_start_is_told_before_the_call_is_made_and_not_of_what_led_nowhere() -> None:
    told, made = Told(), call()

    async def look(call: Call) -> Raw:
        assert [type(event) for event in told.calls] == [CallStarted]
        return Raw(b"{}")

    await told.audit(made, look)
    told.audit.refused(call(route=None), UnknownName("tool", "up__ehco"))

    assert [type(event) for event in told.calls] == [CallStarted, CallEnded, CallEnded]
    assert told.calls[0].span == told.calls[1].span == made.trace.span


@pytest.mark.parametrize(
    ("result", "outcome"),
    [
        (b'{"isError":true}', "tool_error"),
        (b'{ "content": [], "isError" : true }', "tool_error"),
        (b'{"isError":false}', "ok"),
        (b'{"structuredContent":{"isError":true}}', "ok"),
        (b'{"isError":true', "ok"),
    ],
)
async def test_a_result_that_is_an_error_counts_as_one(result: bytes, outcome: str) -> None:
    told = Told()
    await told.audit(call(), giving(result))

    assert told.one.outcome == outcome


@pytest.mark.parametrize(
    ("failure", "outcome"),
    [
        (UpstreamTimeout("late"), "upstream_timeout"),
        (InvalidParams("bad"), "invalid_params"),
        (RpcError.of(-32000, "no"), "upstream_error"),
        (ValueError("fault"), "internal_error"),
    ],
)
async def test_a_failure_is_told_by_its_code_and_goes_on(failure: Exception, outcome: str) -> None:
    told = Told()
    with pytest.raises(type(failure)) as raised:
        await told.audit(call(), raising(failure))

    assert raised.value is failure
    assert told.one.outcome == outcome


async def test_a_call_that_its_caller_gives_up_is_told() -> None:
    told = Told()

    async def forever(call: Call) -> Raw:
        await anyio.sleep_forever()
        raise AssertionError

    with anyio.move_on_after(0.01):
        await told.audit(call(), forever)

    assert told.one.outcome == "cancelled"


async def test_what_led_nowhere_is_told_with_what_was_asked() -> None:
    told = Told()
    told.audit.refused(call(route=None, params={"name": "up__ehco\x1b"}), UnknownName("tool", "up__ehco"))

    assert (told.one.outcome, told.one.server, told.one.tool) == ("unknown_name", None, "up__ehco\\x1b")


async def test_arguments_are_told_as_a_digest_whatever_their_order() -> None:
    told = Told()
    for arguments in ({"a": 1, "b": SECRET}, Raw(b'{"b": "%b", "a": 1}' % SECRET.encode())):
        await told.audit(call(arguments), giving(b"{}"))

    first, second = told.ended
    assert first.arguments == second.arguments
    assert (first.arguments or "").startswith("sha256:")
    assert SECRET not in repr(told.calls)
    assert digest({"a": 2}) != digest({"a": 1})
    told.audit.configure(AuditRules("policy", Arguments.OFF))
    await told.audit(call({"a": 1}), giving(b"{}"))
    assert told.ended[-1].arguments is None
    assert digest(None) is digest({"a": object()}) is None


async def test_in_full_they_are_kept_without_secrets_up_to_a_bound() -> None:
    told = Told()
    told.audit.configure(AuditRules("policy", Arguments.FULL))
    long = {"text": "x" * MAX_ARGUMENTS_BYTES}
    for arguments in (
        {"b": SECRET, "a": [1, "\u202e\u001b"]},
        Raw(b'{"b": 1.0, "a": "two"}'),
        long,
        None,
        {"a": object()},
    ):
        await told.audit(call(arguments), giving(b"{}"))

    shown, raw, bounded, none, odd = (one.arguments for one in told.ended)
    assert shown == '{"a":[1,"\\u202e\\u001b"],"b":"[redacted]"}'
    assert raw == '{"a":"two","b":1.0}'
    assert (bounded, none, odd) == (digest(long), None, None)


@pytest.mark.parametrize("name", [SECRET, f"x{SECRET}x", "n" * 1000, 7, None])
async def test_a_clients_name_is_cleaned_and_cut(name: Any) -> None:
    told = Told()
    info: Any = name if name == 7 else {"name": name}  # a modern client may send what it likes
    await told.audit(call(client=Client("key", info=info)), giving(b"{}"))

    assert SECRET not in repr(told.one)
    assert len(told.one.client or "") <= MAX_TEXT


async def test_a_uri_is_told_without_user_query_and_fragment() -> None:
    told = Told()
    uri = "https://me:pass@host.example/path?token=1#part"
    await told.audit(call(route=Route(Kind.RESOURCE, "up", uri, uri)), giving(b"{}"))
    long = f"https://{'u' * MAX_TEXT}:pass@host.example/"
    for asked in (Raw(b'"x://a?b"'), long, Raw(b"{"), 7):
        told.audit.refused(call(route=None, params={"uri": asked}), UnknownName("resource", "x"))

    assert [one.tool for one in told.ended] == [
        "https://host.example/path",
        "x://a",
        "https://host.example/",
        None,
        None,
    ]


@pytest.mark.parametrize(
    ("failure", "refused"), [(RateLimited("slow"), True), (Overloaded("full"), True), (UpstreamTimeout("late"), False)]
)
async def test_what_was_turned_away_counts_as_refused(failure: Exception, refused: bool) -> None:
    told = Told()
    with pytest.raises(type(failure)):
        await told.audit(call(), raising(failure))

    assert told.one.refused is refused
