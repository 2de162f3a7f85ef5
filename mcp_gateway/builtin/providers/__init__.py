"""Web search providers. To add one: a file with one function, a line in the table of `chain.py`, its tests.

An operator's own provider is the same kind of function, named in the configuration as `package.module:function`.
"""

from mcp_gateway.builtin.providers.base import Hit, Page, Provider, ProviderFailed, Query, Source
from mcp_gateway.builtin.providers.chain import Found, WebSearch, sources
from mcp_gateway.builtin.providers.web import Web

__all__ = ["Found", "Hit", "Page", "Provider", "ProviderFailed", "Query", "Source", "Web", "WebSearch", "sources"]
