"""The command line. Each command's module is imported when it is used, so `--help` costs no more than click."""

from __future__ import annotations

import sys

from mcp_gateway.cli.group import run


def main() -> None:
    """The console script `mcp-gateway`."""
    sys.exit(run(sys.argv[1:]))
