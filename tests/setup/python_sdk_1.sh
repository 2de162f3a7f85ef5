#!/usr/bin/env bash
# Installs an environment of its own for the version 1 Python SDK; see common.sh for the use.
# FOLDER/bin/python runs it.
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
mode="${1:-}"
. "$here/common.sh"

install_sdk() {
    venv "$1" "$here/python_sdk_1.txt"
}

set_up python_sdk_1 install_sdk "$here/python_sdk_1.txt"
