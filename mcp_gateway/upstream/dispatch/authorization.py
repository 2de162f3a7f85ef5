"""What lets a wire in: the `Authorization` header of each request, and what to do when it is refused."""

from __future__ import annotations

from typing import Protocol

from mcp_gateway.errors import UpstreamAuth


class Authorization(Protocol):
    """Gives the header anew for each request, so that a new token counts at once."""

    async def header(self) -> str | None:
        """The header to send now, None to send none. Raises UpstreamAuth, UpstreamUnavailable."""
        ...

    async def renewed(self, refused: str | None, challenge: str | None) -> str | None:
        """Another header after a 401, None when there is none. Raises UpstreamAuth, UpstreamUnavailable."""
        ...

    def refusal(self, status: int, challenge: str | None) -> UpstreamAuth:
        """What to raise when the upstream refuses all the same, with what to do about it."""
        ...
