#!/usr/bin/env bash
# Installs an environment of its own for llama.cpp; see common.sh for the use.
# FOLDER/bin/python runs it.
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
mode="${1:-}"
. "$here/common.sh"

install_llama_cpp() {
    venv "$1" "$here/llama_cpp.txt"
}

set_up llama_cpp install_llama_cpp "$here/llama_cpp.txt"
