"""Alerts on their way, over real HTTP."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from mcp_gateway.observe.alerts import Alert, Phase
from mcp_gateway.observe.webhook import QUEUE, Webhook

from tests.builtin.providers.services import origin
from tests.fakes.http_server import Request, Wire, scripted
from tests.interaction.asking import until


def alert(name: str = "memory") -> Alert:
    return Alert(name, Phase.FIRING, None, "much", 1_800_000_000.0)


class Receiver:
    """A script that answers with these statuses, then 204; it keeps what it accepted."""

    def __init__(self, *statuses: int) -> None:
        self.statuses = list(statuses)
        self.taken: list[Any] = []
        self.several = anyio.Event()

    async def __call__(self, request: Request, wire: Wire) -> None:
        status = self.statuses.pop(0) if self.statuses else 204
        await wire.whole(status, b"", location="/elsewhere")
        if status == 204:
            self.taken.append(request.json)
            self.several.set()


def webhook(url: str | None) -> Webhook:
    made = Webhook(lambda: url, {"gateway": "gateway.yaml"}, {})
    made.retry_after_s = (0.01, 0.01)
    return made


async def test_an_alert_arrives_as_json() -> None:
    receiver = Receiver()
    async with scripted(receiver) as server, anyio.create_task_group() as group:
        hook = webhook(f"{origin(server)}/hook?key=1")
        group.start_soon(hook.run)
        hook.send(alert())
        with anyio.fail_after(5):
            await receiver.several.wait()
        group.cancel_scope.cancel()

    assert receiver.taken == [
        {
            "alert": "memory",
            "state": "firing",
            "server": None,
            "text": "much",
            "at": "2027-01-15T08:00:00.000+00:00",
            "gateway": "gateway.yaml",
        }
    ]
    assert [(request.verb, request.target) for request in server.requests] == [("POST", "/hook?key=1")]


async def test_one_that_fails_is_tried_again() -> None:
    receiver = Receiver(500, 302)
    async with scripted(receiver) as server, anyio.create_task_group() as group:
        hook = webhook(origin(server))
        group.start_soon(hook.run)
        hook.send(alert())
        with anyio.fail_after(5):
            await receiver.several.wait()
        group.cancel_scope.cancel()

    assert [request.target for request in server.requests] == ["/", "/", "/"]  # no redirect is followed


async def test_one_that_goes_on_failing_is_given_up_and_the_next_is_sent(caplog: pytest.LogCaptureFixture) -> None:
    receiver = Receiver(500, 500, 500)
    async with scripted(receiver) as server, anyio.create_task_group() as group:
        hook = webhook(f"{origin(server)}/a-secret-path")
        group.start_soon(hook.run)
        hook.send(alert("first"))
        hook.send(alert("second"))
        with anyio.fail_after(5):
            await receiver.several.wait()
        group.cancel_scope.cancel()

    assert [body["alert"] for body in receiver.taken] == ["second"]
    (line,) = [line.message for line in caplog.records if line.name == "mcp_gateway.observe.webhook"]
    assert line == "webhook.given_up alert=first reason=it answered HTTP 500"


async def test_an_address_that_is_never_called_is_given_up(caplog: pytest.LogCaptureFixture) -> None:
    receiver = Receiver()
    async with scripted(receiver) as server, anyio.create_task_group() as group:
        addresses = [origin(server), "http://169.254.169.254/hook"]
        hook = Webhook(lambda: addresses[-1], {}, {})
        hook.retry_after_s = ()
        group.start_soon(hook.run)
        hook.send(alert("first"))
        with anyio.fail_after(5):
            await until(lambda: "webhook.given_up" in caplog.text)
            addresses.pop()
            hook.send(alert("second"))
            await receiver.several.wait()
        group.cancel_scope.cancel()

    assert "alert=first reason=its address is link-local or a metadata service" in caplog.text
    assert [body["alert"] for body in receiver.taken] == ["second"]


async def test_without_an_address_nothing_is_kept_and_a_full_queue_keeps_the_newest() -> None:
    receiver = Receiver()
    addresses: list[str | None] = [None]
    hook = Webhook(lambda: addresses[-1], {}, {})
    hook.send(alert("unheard"))
    async with scripted(receiver) as server, anyio.create_task_group() as group:
        addresses.append(origin(server))
        for number in range(QUEUE + 5):
            hook.send(alert(str(number)))
        group.start_soon(hook.run)
        with anyio.fail_after(20):
            await until(lambda: len(receiver.taken) == QUEUE)
        group.cancel_scope.cancel()

    assert [body["alert"] for body in receiver.taken] == [str(number) for number in range(5, QUEUE + 5)]
