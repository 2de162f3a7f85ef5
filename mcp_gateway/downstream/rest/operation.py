"""One operation of REST: what routing, checking and describing it need to know."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from mcp_gateway.downstream.rest.desk import Desk

PREFIX: Final = "/api/v1"

Handler = Callable[[Desk, Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Operation:
    """`path` is in Starlette's form, below the prefix.

    `scope` is what the caller must have; None where `Gateway.route` decides. `failures` are the statuses of errors that
    only some operations know. `streams` says that the answer may be an event stream.
    """

    method: str
    path: str
    handler: Handler
    summary: str
    answer: type[BaseModel]
    scope: str | None = None
    body: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    failures: tuple[int, ...] = ()
    streams: bool = False
