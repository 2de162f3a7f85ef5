"""The merged, immutable view of everything upstreams offer."""

from mcp_gateway.catalog.route import Kind, Route

__all__ = ["Kind", "Route"]
