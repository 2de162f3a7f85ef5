"""The merged, immutable view of everything upstreams offer.

A server's list pages become a `Part` (`read_pages`), its parts an `Offer`, all offers
a `Catalog`. The room is pure: it does no I/O and knows no connection.
"""

from mcp_gateway.catalog.catalog import BYTES_PER_TOKEN, Allowed, Catalog, CatalogEntry, Size, diff
from mcp_gateway.catalog.listing import check_cursor
from mcp_gateway.catalog.offer import Entry, Freshness, Offer, Part
from mcp_gateway.catalog.problem import Code, Problem
from mcp_gateway.catalog.route import Kind, Route
from mcp_gateway.catalog.rules import ExposeRules, Order, Prefix, SchemaCompat, ServerRules, StickyNames
from mcp_gateway.catalog.splice import result_uris, rewrite_uris, upstream_params
from mcp_gateway.catalog.uris import SeenUris
from mcp_gateway.catalog.vetting import Caps, read_pages, vet
from mcp_gateway.catalog.view import NOTHING, WHOLE, Filter, Shortlist, View

__all__ = [
    "BYTES_PER_TOKEN",
    "NOTHING",
    "WHOLE",
    "Allowed",
    "Caps",
    "Catalog",
    "CatalogEntry",
    "Code",
    "Entry",
    "ExposeRules",
    "Filter",
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
    "Shortlist",
    "Size",
    "StickyNames",
    "View",
    "check_cursor",
    "diff",
    "read_pages",
    "result_uris",
    "rewrite_uris",
    "upstream_params",
    "vet",
]
