"""FastMCP's proxy as its manual has it: `PYTHON fastmcp_proxy.py URL PORT`, under a Python that has fastmcp."""

import sys

from fastmcp.server import create_proxy

if __name__ == "__main__":
    url, port = sys.argv[1:]
    proxy = create_proxy({"mcpServers": {"up": {"url": url, "transport": "http"}}})
    proxy.run(transport="http", host="127.0.0.1", port=int(port), show_banner=False, log_level="ERROR")
