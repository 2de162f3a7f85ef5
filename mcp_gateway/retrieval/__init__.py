"""Finding the entries of a catalog that fit a few words. Pure: texts enter, ranked positions leave."""

from mcp_gateway.retrieval.plain import Document, Match, PlainIndex

__all__ = ["Document", "Match", "PlainIndex"]
