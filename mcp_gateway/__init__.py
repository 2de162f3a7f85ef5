"""One MCP endpoint in front of all of a person's MCP servers."""

__version__ = "0.1.0"

__all__ = ["__version__"]
