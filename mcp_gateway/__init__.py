"""One MCP endpoint in front of all of a person's MCP servers."""
