"""What upstreams have answered before: memory in front of a file.

A *tier* keeps *entries* (exact bytes with an age and the server they came from). The
*key* of an entry says everything the answer depends on. A *generation* is a server's
flush number: raising it makes all of that server's entries dead at once.
"""

from mcp_gateway.cache.base import Cache, CacheStats, Clock, Entry, EntryCache, steady_clock
from mcp_gateway.cache.generations import Generations
from mcp_gateway.cache.memory import MemoryCache
from mcp_gateway.cache.rule import CacheRule, Scope, Use
from mcp_gateway.cache.sqlite import SqliteCache
from mcp_gateway.cache.tiered import TieredCache, open_cache

__all__ = [
    "Cache",
    "CacheRule",
    "CacheStats",
    "Clock",
    "Entry",
    "EntryCache",
    "Generations",
    "MemoryCache",
    "Scope",
    "SqliteCache",
    "TieredCache",
    "Use",
    "open_cache",
    "steady_clock",
]
