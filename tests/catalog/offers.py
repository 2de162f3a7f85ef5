"""Offers for tests, read from pages like a real server's."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mcp_gateway.catalog import Catalog, Code, Kind, Offer, read_pages
from mcp_gateway.wire import encode, loads

EMPTY_OBJECT: dict[str, Any] = {"type": "object", "properties": {}}

_FIELDS = {Kind.TOOL: "tools", Kind.PROMPT: "prompts", Kind.RESOURCE: "resources", Kind.TEMPLATE: "resourceTemplates"}


def page(kind: Kind, definitions: Iterable[Any], **more: Any) -> bytes:
    return encode({_FIELDS[kind]: list(definitions), **more})


def tool(name: Any, **more: Any) -> dict[str, Any]:
    return {"name": name, "inputSchema": EMPTY_OBJECT, **more}


def offer(
    server: str,
    *,
    tools: Iterable[Any] = (),
    prompts: Iterable[Any] = (),
    resources: Iterable[Any] = (),
    templates: Iterable[Any] = (),
    instructions: str | None = None,
) -> Offer:
    """An offer; tools may be given by name alone, resources and templates by URI alone."""
    parts = (
        read_pages(Kind.TOOL, server, [page(Kind.TOOL, [tool(t) if isinstance(t, str) else t for t in tools])]),
        read_pages(
            Kind.PROMPT, server, [page(Kind.PROMPT, [{"name": p} if isinstance(p, str) else p for p in prompts])]
        ),
        read_pages(Kind.RESOURCE, server, [page(Kind.RESOURCE, [_named("uri", r) for r in resources])]),
        read_pages(Kind.TEMPLATE, server, [page(Kind.TEMPLATE, [_named("uriTemplate", t) for t in templates])]),
    )
    return Offer(server, "2025-11-25", parts, instructions=instructions)


def _named(field: str, given: Any) -> Any:
    return {field: given, "name": given} if isinstance(given, str) else given


def exposed(catalog: Catalog, kind: Kind = Kind.TOOL) -> list[str]:
    return [entry.route.exposed for entry in catalog.entries(kind)]


def codes(found: Any) -> list[Code]:
    """The codes of a part's, an offer's or a catalog's problems."""
    return [problem.code for problem in found.problems]


def listed(catalog: Catalog, revision: str = "2026-07-28", kind: Kind = Kind.TOOL) -> list[dict[str, Any]]:
    definitions: list[dict[str, Any]] = loads(catalog.listing(kind, revision))[_FIELDS[kind]]
    return definitions
