"""Reading what one upstream offers: every page of every list, raw and bounded.

A list that fails is never taken for an empty one: it is reported as failed, and
whoever asked keeps the last good one.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping

import anyio.to_thread

from mcp_gateway.catalog.offer import Part
from mcp_gateway.catalog.route import Kind
from mcp_gateway.catalog.vetting import Caps, read_pages
from mcp_gateway.errors import (
    METHOD_NOT_FOUND,
    GatewayError,
    RpcError,
    UpstreamMessageTooLarge,
    UpstreamProtocolError,
    UpstreamUnavailable,
)
from mcp_gateway.upstream.session import Link, Session
from mcp_gateway.wire import Malformed, Raw, RawParams, fields, loads

logger = logging.getLogger(__name__)

METHODS: Mapping[Kind, str] = {
    Kind.TOOL: "tools/list",
    Kind.PROMPT: "prompts/list",
    Kind.RESOURCE: "resources/list",
    Kind.TEMPLATE: "resources/templates/list",
}

_CAPABILITY = {Kind.TOOL: "tools", Kind.PROMPT: "prompts", Kind.RESOURCE: "resources", Kind.TEMPLATE: "resources"}

MAX_PAGES = 100
"""Pages followed per list (security facts, 3.4 catalogue: `nextCursor` for ever)."""

_OF_ONE_LIST = (UpstreamProtocolError, UpstreamMessageTooLarge)
"""Failures that say nothing about the other lists; any other concerns the connection."""


def offered_kinds(session: Session) -> tuple[Kind, ...]:
    """What the upstream's capabilities promise."""
    return tuple(kind for kind in METHODS if _CAPABILITY[kind] in session.capabilities)


async def read_parts(
    link: Link, kinds: Iterable[Kind], caps: Caps
) -> tuple[dict[Kind, Part], dict[Kind, GatewayError]]:
    """Every page of every list, vetted; and why the lists that are missing could not be read.

    Raises:
        GatewayError: the connection failed meanwhile.
    """
    parts: dict[Kind, Part] = {}
    failures: dict[Kind, GatewayError] = {}
    for kind in kinds:
        try:
            pages = await _read_list(link, kind)
            # A large offer takes long to check, and other upstreams' calls share this thread.
            parts[kind] = await anyio.to_thread.run_sync(read_pages, kind, link.dispatcher.server, pages, caps)
        except RpcError as refused:
            failures[kind] = _refused(link, kind, refused)
        except _OF_ONE_LIST as failure:
            if failure.status is not None:
                raise
            failures[kind] = failure
    return parts, failures


def _refused(link: Link, kind: Kind, refused: RpcError) -> UpstreamUnavailable:
    name = link.dispatcher.server
    message = f"upstream {name!r} answered {METHODS[kind]} with an error: {refused.error['message']}"
    return UpstreamUnavailable(message, server=name)


async def _read_list(link: Link, kind: Kind) -> list[Raw]:
    """The pages up to `MAX_PAGES`, a cursor seen before, or as many bytes as one message may have."""
    pages: list[Raw] = []
    seen: set[str] = set()
    cursor: str | None = None
    size = 0
    while True:
        params: RawParams = {} if cursor is None else {"cursor": cursor}
        try:
            page = await link.request(METHODS[kind], params)
        except RpcError as refused:
            if refused.error["code"] == METHOD_NOT_FOUND and not pages:
                return []
            raise
        pages.append(page)
        size += len(bytes(page))
        cursor = _next_cursor(link, page)
        if cursor is None:
            return pages
        if cursor in seen or len(pages) >= MAX_PAGES or size > link.dispatcher.max_message_bytes:
            logger.warning(
                "upstream.list_cut name=%s method=%s pages=%d", link.dispatcher.server, METHODS[kind], len(pages)
            )
            return pages
        seen.add(cursor)


def _next_cursor(link: Link, page: Raw) -> str | None:
    try:
        raw = fields(page).get("nextCursor")
        cursor = None if raw is None else loads(raw)
    except Malformed:
        name = link.dispatcher.server
        raise UpstreamProtocolError(f"upstream {name!r} answered a list with something else", server=name) from None
    return cursor if isinstance(cursor, str) else None
