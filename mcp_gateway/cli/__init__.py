"""The command line. Each command's module is imported when it is used, so `--help` costs no more than click."""

from __future__ import annotations

import sys
from io import TextIOWrapper

from mcp_gateway.cli.group import run


def main() -> None:
    """The console script `mcp-gateway`."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal without the letters still shows the rest
    sys.exit(run(sys.argv[1:]))
