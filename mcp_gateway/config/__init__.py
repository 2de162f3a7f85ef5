"""Configuration: one file in, one frozen `Config` out, or every problem with its place.

Files of any host are read as they are. This room knows nothing of connections, and
importing it loads neither the protocol's SDK nor a web framework.
"""

from mcp_gateway.config.discover import Folders, file_key, find_config, folders
from mcp_gateway.config.load import load_config
from mcp_gateway.config.model import Config
from mcp_gateway.config.schema import json_schema
from mcp_gateway.config.servers import HttpServer, Server, SseServer, StdioServer

__all__ = [
    "Config",
    "Folders",
    "HttpServer",
    "Server",
    "SseServer",
    "StdioServer",
    "file_key",
    "find_config",
    "folders",
    "json_schema",
    "load_config",
]
