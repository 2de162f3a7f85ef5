"""The operations as routes, each behind the same guard."""

from __future__ import annotations

import logging

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from mcp_gateway.downstream.failures import told
from mcp_gateway.downstream.identity import principal_of
from mcp_gateway.downstream.inflight import InFlight
from mcp_gateway.downstream.rest.desk import Desk, Process
from mcp_gateway.downstream.rest.operation import Operation
from mcp_gateway.downstream.rest.table import OPERATIONS
from mcp_gateway.gateway import Gateway
from mcp_gateway.security.policy import require

logger = logging.getLogger(__name__)


def routes(gateway: Gateway, process: Process, in_flight: InFlight, max_body_bytes: int) -> list[Route]:
    """Starlette routes, without the prefix."""
    desk = Desk(gateway, process, in_flight, max_body_bytes)
    return [_route(desk, operation) for operation in OPERATIONS]


def _route(desk: Desk, operation: Operation) -> Route:
    async def answer(request: Request) -> Response:
        try:
            if operation.scope is not None:
                require(principal_of(request.scope), operation.scope)
            return await operation.handler(desk, request)
        except ClientDisconnect:
            return Response(status_code=499)  # nobody reads it
        except Exception as raised:  # boundary: whatever is wrong in here costs one request
            return told(raised).response()

    return Route(operation.path, answer, methods=[operation.method])
