"""Callers who have yet to log in to a server are asked to, where their client can open a page for them.

A call that fails for want of the caller's own login enters. 2026-07-28: `input_required` leaves, and the call is made
again after the login. 2025-11-25: the client is asked in mid-call, and the call goes on; where there is no way to ask,
or the login takes longer than the call may, error -32042 tells what to open before it is made again.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from typing import Any, Final

import anyio

from mcp_gateway.call import Call
from mcp_gateway.capabilities import lacking
from mcp_gateway.catalog import Route
from mcp_gateway.errors import GatewayError, NeedsAuth, RpcError
from mcp_gateway.middleware import Next
from mcp_gateway.revisions import ASKING, SERVER_INFO, URL_ELICITATION_REQUIRED
from mcp_gateway.upstream.oauth.desk import Desk, Invitation
from mcp_gateway.upstream.session import GATEWAY_INFO
from mcp_gateway.wire import Malformed, Raw, encode, loads

METHOD: Final = "elicitation/create"
COMPLETE: Final = "notifications/elicitation/complete"

PAGE: Final = "/oauth/login"
"""Where a login begins, below the gateway's own address."""

LEAST_S: Final = 5.0
LEAST_SHARE: Final = 0.25
"""What is kept of a call's time for the call itself, after the login: so many seconds, or this part of less time
(our choice)."""

_KEY: Final = "login"
_STATE: Final = "mcp-gateway-login."
"""Tells our `requestState` from those of upstreams; what follows is an invitation's id."""


class LoginMiddleware:
    """Middleware. `time_s` is how long a call may take, the wait for a person included."""

    def __init__(self, desk: Desk, time_s: Callable[[Route], float], base_path: str = "") -> None:
        self._desk = desk
        self._time_s = time_s
        self._page = f"{base_path}{PAGE}"

    async def __call__(self, call: Call, proceed: Next) -> Raw:
        """Raises NeedsAuth where the client opens no pages, or the person refused; RpcError of -32042."""
        until_s = time.monotonic() + self._limit_s(call)
        if await self._came_back(call, until_s):
            call.deadline_s = _rest_s(until_s)
        params = dict(call.params)
        try:
            return await proceed(call)
        except NeedsAuth as failure:
            needed = failure
        server = needed.server or ""
        if not self._can_ask(call) or not self._desk.serves(server):
            raise needed
        invitation = self._desk.invite(server, call.principal.id)
        if call.client.modern:
            return self._input_required(call, invitation)
        await self._ask(call, invitation, needed, until_s)
        call.params, call.deadline_s = params, _rest_s(until_s)
        return await proceed(call)

    def _limit_s(self, call: Call) -> float:
        own_s = 0.0 if call.route is None else self._time_s(call.route)
        return own_s if call.deadline_s is None else min(own_s, call.deadline_s)

    def _can_ask(self, call: Call) -> bool:
        opens = lacking(METHOD, {"mode": "url"}, call.client.capabilities) is None
        return opens and call.client.origin is not None and (not call.client.modern or call.method in ASKING)

    def _params(self, call: Call, invitation: Invitation) -> dict[str, Any]:
        return {
            "mode": "url",
            "message": f"The server {invitation.server!r} behind this gateway wants you to log in.",
            "url": f"{call.client.origin}{self._page}?id={invitation.id}",
        }

    # -- 2026-07-28 ----------------------------------------------------------------------------------------------

    def _input_required(self, call: Call, invitation: Invitation) -> Raw:
        asked = {_KEY: {"method": METHOD, "params": self._params(call, invitation)}}
        state = f"{_STATE}{invitation.id}"
        return Raw(
            encode(
                {
                    "resultType": "input_required",
                    "inputRequests": asked,
                    "requestState": state,
                    "_meta": {SERVER_INFO: GATEWAY_INFO},
                }
            )
        )

    async def _came_back(self, call: Call, until_s: float) -> bool:
        """Whether it is a call that is made again: then the login that it was asked for has been waited for.

        What was ours of its params does not go on.
        """
        state = _plain(call.params.get("requestState"))
        if not isinstance(state, str) or not state.startswith(_STATE):
            return False
        answers = _plain(call.params.get("inputResponses"))
        call.params = {
            name: value for name, value in call.params.items() if name not in ("requestState", "inputResponses")
        }
        invitation = self._desk.find(state.removeprefix(_STATE), call.principal.id)
        if invitation is not None:
            _check_accepted(answers.get(_KEY) if isinstance(answers, dict) else None, invitation.server)
            await _until_done(invitation, until_s)
        return True

    # -- 2025-11-25 ----------------------------------------------------------------------------------------------

    async def _ask(self, call: Call, invitation: Invitation, needed: NeedsAuth, until_s: float) -> None:
        """Returns once the person has logged in."""
        params = {**self._params(call, invitation), "elicitationId": invitation.id}
        if not await self._is_open(call, params, invitation, until_s) or not await _until_done(invitation, until_s):
            raise RpcError.of(URL_ELICITATION_REQUIRED, needed.message, {"elicitations": [params]})
        call.sink.notify(COMPLETE, {"elicitationId": invitation.id})

    async def _is_open(self, call: Call, params: dict[str, Any], invitation: Invitation, until_s: float) -> bool:
        """Whether the person opens the page; False when the client cannot be asked, or says nothing in time."""
        with anyio.move_on_after(_left_s(until_s)):
            try:
                answered = loads(await call.sink.request(METHOD, params))
            except (RpcError, Malformed):
                return False
            _check_accepted(answered, invitation.server)
            return True
        return invitation.done.is_set()


async def _until_done(invitation: Invitation, until_s: float) -> bool:
    """False when it takes too long. Raises GatewayError: the login came to nothing."""
    with anyio.move_on_after(_left_s(until_s)):
        await invitation.done.wait()
    failure: GatewayError | None = copy.copy(invitation.failure)
    if failure is not None:
        raise failure
    return invitation.done.is_set()


def _rest_s(until_s: float) -> float:
    return max(0.0, until_s - time.monotonic())


def _left_s(until_s: float) -> float:
    """For the person."""
    rest_s = _rest_s(until_s)
    return rest_s - min(LEAST_S, rest_s * LEAST_SHARE)


def _check_accepted(answer: Any, server: str) -> None:
    if not isinstance(answer, dict) or answer.get("action") != "accept":
        raise NeedsAuth(f"upstream {server!r} wants a login, which was declined", server=server)


def _plain(value: Any) -> Any:
    if not isinstance(value, Raw):
        return value
    try:
        return loads(value)
    except Malformed:
        return None
