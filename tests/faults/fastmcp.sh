#!/usr/bin/env bash
# Installs an environment of its own for the FastMCP proxy; see tests/setup/common.sh for the use.
# FOLDER/bin/fastmcp runs it. Not among the tests' parts: only `scripts/faults --peer fastmcp` asks for it.
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
mode="${1:-}"
. "$here/../setup/common.sh"

install_fastmcp() {
    venv "$1" "$here/fastmcp.txt"
}

set_up fastmcp install_fastmcp "$here/fastmcp.txt"
