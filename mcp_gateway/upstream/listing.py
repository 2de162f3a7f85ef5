"""Reading what one upstream offers: every page of every list, raw and bounded.

A list that fails is never taken for an empty one: the error reaches the caller,
who keeps the last good offer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mcp_gateway.catalog.offer import Part
from mcp_gateway.catalog.route import Kind
from mcp_gateway.catalog.vetting import read_pages
from mcp_gateway.errors import METHOD_NOT_FOUND, RpcError, UpstreamProtocolError
from mcp_gateway.upstream.session import Link
from mcp_gateway.wire import Malformed, Raw, RawParams, fields, loads

METHODS: Mapping[Kind, str] = {
    Kind.TOOL: "tools/list",
    Kind.PROMPT: "prompts/list",
    Kind.RESOURCE: "resources/list",
    Kind.TEMPLATE: "resources/templates/list",
}

_CAPABILITY = {Kind.TOOL: "tools", Kind.PROMPT: "prompts", Kind.RESOURCE: "resources", Kind.TEMPLATE: "resources"}

MAX_PAGES = 100
"""Pages followed per list (security facts, 3.4 catalogue: `nextCursor` for ever)."""


def offered_kinds(link: Link) -> tuple[Kind, ...]:
    """What the upstream's capabilities promise."""
    return tuple(kind for kind in METHODS if _CAPABILITY[kind] in link.session.capabilities)


async def read_parts(link: Link, kinds: Iterable[Kind]) -> dict[Kind, Part]:
    """Every page of every list, vetted.

    Raises:
        GatewayError, RpcError: as `Link.request`; UpstreamProtocolError when a page is no list result.
    """
    server = link.dispatcher.server
    return {kind: read_pages(kind, server, await _read_list(link, kind)) for kind in kinds}


async def _read_list(link: Link, kind: Kind) -> list[Raw]:
    pages: list[Raw] = []
    seen: set[str] = set()
    cursor: str | None = None
    while len(pages) < MAX_PAGES:
        params: RawParams = {} if cursor is None else {"cursor": cursor}
        try:
            page = await link.request(METHODS[kind], params)
        except RpcError as refused:
            if refused.error["code"] == METHOD_NOT_FOUND and not pages:
                return []
            raise
        pages.append(page)
        cursor = _next_cursor(link, page)
        if cursor is None or cursor in seen:
            return pages
        seen.add(cursor)
    return pages


def _next_cursor(link: Link, page: Raw) -> str | None:
    try:
        raw = fields(page).get("nextCursor")
        cursor = None if raw is None else loads(raw)
    except Malformed:
        name = link.dispatcher.server
        raise UpstreamProtocolError(f"upstream {name!r} answered a list with something else", server=name) from None
    return cursor if isinstance(cursor, str) else None
