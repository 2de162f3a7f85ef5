"""Where calls come in: stdio, HTTP+SSE, Streamable HTTP and REST, all on their way to `Gateway.route`."""
