"""The merged, immutable view of everything upstreams offer.

A server's list pages become a `Part` (`read_pages`), its parts an `Offer`, all offers
a `Catalog`. The room is pure: it does no I/O and knows no connection.
"""

from mcp_gateway.catalog.catalog import Allowed, Catalog, CatalogEntry, diff
from mcp_gateway.catalog.listing import check_cursor
from mcp_gateway.catalog.offer import Entry, Freshness, Offer, Part
from mcp_gateway.catalog.problem import Code, Problem
from mcp_gateway.catalog.route import Kind, Route
from mcp_gateway.catalog.rules import ExposeRules, Order, Prefix, SchemaCompat, ServerRules, StickyNames
from mcp_gateway.catalog.splice import result_uris, rewrite_uris, upstream_params
from mcp_gateway.catalog.uris import SeenUris
from mcp_gateway.catalog.vetting import Caps, read_pages, vet

__all__ = [
    "Allowed",
    "Caps",
    "Catalog",
    "CatalogEntry",
    "Code",
    "Entry",
    "ExposeRules",
    "Freshness",
    "Kind",
    "Offer",
    "Order",
    "Part",
    "Prefix",
    "Problem",
    "Route",
    "SchemaCompat",
    "SeenUris",
    "ServerRules",
    "StickyNames",
    "check_cursor",
    "diff",
    "read_pages",
    "result_uris",
    "rewrite_uris",
    "upstream_params",
    "vet",
]
