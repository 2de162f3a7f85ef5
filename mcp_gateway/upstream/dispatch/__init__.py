"""The wires to upstream servers: stdio pipes, Streamable HTTP, legacy HTTP+SSE."""
