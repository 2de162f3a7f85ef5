"""REST under `/api/v1`: the calls and views of the other doors as plain JSON.

`table` lists the operations, `routes` serves them and `openapi` describes them. Every call goes through
`Gateway.route`; errors are `{error, timestamp, details}`. No operation takes a command to run as an upstream.
"""

from mcp_gateway.downstream.rest.desk import Process
from mcp_gateway.downstream.rest.openapi import document
from mcp_gateway.downstream.rest.operation import PREFIX
from mcp_gateway.downstream.rest.routes import routes

__all__ = ["PREFIX", "Process", "document", "routes"]
