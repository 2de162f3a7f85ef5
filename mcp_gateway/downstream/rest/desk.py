"""What every operation works with: the gateway, the process around it, and the reading of requests."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from mcp_gateway.cache import TieredCache
from mcp_gateway.call import Call, Client
from mcp_gateway.catalog import View
from mcp_gateway.downstream.body import read_body
from mcp_gateway.downstream.identity import principal_of
from mcp_gateway.downstream.inflight import InFlight
from mcp_gateway.errors import InvalidParams
from mcp_gateway.gateway import Gateway
from mcp_gateway.observe.trace import HEADER, Trace
from mcp_gateway.revisions import LATEST_LEGACY
from mcp_gateway.security.pin_desk import PinDesk
from mcp_gateway.validation import reasons
from mcp_gateway.wire import Malformed, Raw, RawParams, check, fields, loads

Model = TypeVar("Model", bound=BaseModel)

_numbers: Final = count(1)


@dataclass(frozen=True, slots=True)
class Process:
    """What REST shows and may change of the process around the gateway.

    `status` is all that a client may know of it. `embed` makes a vector of each text of the call's `input`, and
    the body of the answer; raises Overloaded, RateLimited, ModelRefused and ModelUnavailable.
    `reload` reads the configuration again and gives the settings that need a restart; raises BadConfig, and nothing has
    changed then. `calls` are the last ones, so many of them, of one principal or of all (None).
    """

    status: Callable[[Client], dict[str, Any]]
    cache: TieredCache
    embed: Callable[[Call], Awaitable[Raw]]
    reload: Callable[[], list[str]]
    calls: Callable[[int, str | None], list[dict[str, Any]]]
    pins: PinDesk


@dataclass(frozen=True, slots=True)
class Desk:
    """One for all requests; whose request it is stands in the request."""

    gateway: Gateway
    process: Process
    in_flight: InFlight
    max_body_bytes: int

    def client(self, request: Request) -> Client:
        """Who is asking; nobody can be asked back over this door."""
        key = f"rest-{next(_numbers)}"
        return Client(key, revision=LATEST_LEGACY, door="rest", principal=principal_of(request.scope))

    def call(self, request: Request, method: str, params: RawParams, deadline_s: float | None = None) -> Call:
        """A call of whoever sent the request, in the request's trace."""
        trace = Trace.at_door(request.headers.get(HEADER))
        return Call(method, params, self.client(request), deadline_s=deadline_s, trace=trace)

    def view(self, request: Request) -> View:
        return self.gateway.showcase.view(self.client(request))

    async def read(self, request: Request, model: type[Model]) -> tuple[Model, Mapping[str, Raw]]:
        """The body's members, checked and as they came; no body is an empty object.

        Raises InvalidParams, MessageTooLarge, ClientDisconnect.
        """
        body = await read_body(request.receive, self.max_body_bytes) or b"{}"
        try:
            check(body)
            loads(body)  # every number in it, too
            members = fields(body)
        except Malformed as bad:
            raise InvalidParams(f"the request body is {bad}; send a JSON object") from None
        try:
            return model.model_validate_json(body, strict=True), members
        except ValidationError as invalid:
            raise InvalidParams(f"the request body: {reasons(invalid, model, noun='member')}") from None


def queried(request: Request, model: type[Model]) -> Model:
    """The parameters of the query; an unknown or repeated one is refused. Raises InvalidParams."""
    given = request.query_params
    if repeated := [name for name in given if len(given.getlist(name)) > 1]:
        raise InvalidParams(f"the query: {repeated[0]!r} is given more than once")
    try:
        return model.model_validate(dict(given))
    except ValidationError as invalid:
        raise InvalidParams(f"the query: {reasons(invalid, model, noun='parameter')}") from None
