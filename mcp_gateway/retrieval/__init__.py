"""Finding the tools that fit a few words. Pure: texts enter, ranked documents leave."""

from mcp_gateway.retrieval.document import Document, Hit, schema_text
from mcp_gateway.retrieval.hybrid import Vector, Vectors, unit
from mcp_gateway.retrieval.index import Index

__all__ = ["Document", "Hit", "Index", "Vector", "Vectors", "schema_text", "unit"]
