"""The session of one Streamable HTTP connection, as far as headers show it.

The answer to `initialize` and the negotiated revision enter, header lines leave. A
modern connection has no session; its calls bring their own version header.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from mcp_gateway.revisions import at_least
from mcp_gateway.upstream.dispatch import headers as header_fields
from mcp_gateway.upstream.dispatch.answers import broken
from mcp_gateway.upstream.dispatch.exchange import Exchange

_VALID_ID = re.compile(r"[\x21-\x7e]{1,1024}")  # 2025-11-25, transports: visible ASCII; the length is our choice
_VERSION_HEADER_SINCE = "2025-06-18"


class HttpSession:
    """`id` is None while there is no session, or when the upstream keeps none."""

    def __init__(self) -> None:
        self.id: str | None = None
        self._id_line = b""
        self._version_line = b""

    def begin(self, server: str, answer: Exchange) -> None:
        """Keep the session id of an `initialize` answer. Raises UpstreamProtocolError when no header can carry it."""
        given = answer.headers.get(b"mcp-session-id")
        if given is None:
            return
        id = given.decode("latin-1")
        if not _VALID_ID.fullmatch(id):
            raise broken(server, "its session id is not 1 to 1024 visible ASCII characters")
        self.id = id
        self._id_line = header_fields.lines({"mcp-session-id": id})

    def negotiated(self, revision: str) -> None:
        if at_least(revision, _VERSION_HEADER_SINCE):
            self._version_line = header_fields.lines({header_fields.VERSION: revision})

    def forget(self) -> None:
        self.id = None
        self._id_line = self._version_line = b""

    def lines(self, headers: Mapping[str, str] | None) -> bytes:
        """What every request carries; a request's own version header takes the place of ours."""
        if headers and any(name.lower() == header_fields.VERSION for name in headers):
            return self._id_line
        return self._id_line + self._version_line
