"""Servers that are fetched in whatever version is newest: told of, or left out where the file asks for pinned ones.

Servers as they were read enter and leave. What counts as pinned is `security.launchers`' business.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from mcp_gateway.config.entries import ReadServer
from mcp_gateway.config.problems import Line, Report
from mcp_gateway.config.roots import Named
from mcp_gateway.config.servers import StdioServer
from mcp_gateway.security.launchers import advice


def hold_pinned(
    entries: Sequence[Named], servers: Mapping[str, ReadServer | None], report: Report, *, required: bool
) -> dict[str, ReadServer | None]:
    """With `required`, a server that is not pinned cannot be used; else the report has a note (R-SUP-1)."""
    held = dict(servers)
    for entry in entries:
        read = servers.get(entry.name)
        told = None if read is None else _advice(read)
        if read is None or told is None:
            continue
        if required:
            told = f"security.require_pinned: {told}"
            held[entry.name] = replace(read, skipped=Line(entry.mark, entry.path, told).render(report.file))
        else:
            report.note(entry.mark, entry.path, told)
    return held


def _advice(read: ReadServer) -> str | None:
    server = read.server
    if not isinstance(server, StdioServer) or server.disabled or read.skipped:
        return None
    return advice((server.command, *server.args))
