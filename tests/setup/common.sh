# Sourced by the setup scripts beside it: where things go, and when there is nothing to do.
#
# Every script installs one folder below the test cache, outside the repository, and
# writes the hash of what it installed from into FOLDER/stamp as its last act. While
# the stamp is right, nothing is touched and no network is used.
#
#   SCRIPT           install when needed, then print the folder
#   SCRIPT --where   print the folder when it is current, else fail

cache="${MCP_GATEWAY_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/mcp-gateway-tests}"
python="${PYTHON:-python3}"

# set_up NAME INSTALL FILE...: bring $cache/NAME up to date with the FILEs by calling INSTALL FOLDER.
set_up() {
    folder="$cache/$1" install="$2"
    shift 2
    stamp="$(cat "$@" | hash_of_input)"
    if [ "$mode" = --where ]; then
        is_current && printf '%s\n' "$folder"
        return
    fi
    mkdir -p "$cache"
    exec 9>"$folder.lock"
    if command -v flock >/dev/null; then flock 9; fi # two test runs may start at once
    if ! is_current; then
        rm -rf "$folder"
        "$install" "$folder" >&2
        printf '%s\n' "$stamp" >"$folder/stamp"
    fi
    printf '%s\n' "$folder"
}

is_current() {
    [ "$(cat "$folder/stamp" 2>/dev/null)" = "$stamp" ]
}

hash_of_input() {
    if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi | cut -d' ' -f1
}

# venv FOLDER REQUIREMENTS: an environment that holds exactly the pinned wheels.
venv() {
    "$python" -m venv "$1"
    "$1/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes --requirement "$2"
}
