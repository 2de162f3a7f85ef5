# shellcheck shell=bash
# Sourced by the scripts beside it: finds a Python, keeps .venv in step with the lock.
#
#   prepare serve   everything that `mcp-gateway serve` needs
#   prepare test    the same, and what tests and checks need
#
# .venv belongs to these scripts: one that was left half-made, moved, or made with
# another Python is made anew. PYTHON names the interpreter to use, when set.

set -euo pipefail
unset VIRTUAL_ENV PYTHONHOME PYTHONPATH PIP_PREFIX PIP_TARGET UV_SYSTEM_PYTHON

root="$(cd -P -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)"
venv="$root/.venv"
stamp="$venv/installed" # Python and place, then a key per finished set-up; missing while one is under way
readonly root venv stamp

prepare() {
    local profile="$1"
    find_python
    is_prepared "$profile" && return
    exec 9>>"$root/.venv.lock"
    "$python" -c 'import fcntl; fcntl.flock(9, fcntl.LOCK_EX)' # held by this shell until descriptor 9 closes
    is_prepared "$profile" || install "$profile"
    exec 9>&-
}

is_prepared() {
    is_ours && grep -qxF "$(key "$1")" "$stamp"
}

# The .venv was finished once, in this place and with this version of Python.
is_ours() {
    [ -f "$stamp" ] && [ "$(head -n 1 "$stamp")" = "$version $venv" ] && [ -x "$venv/bin/python" ]
}

key() {
    printf '%s ' "$1"
    cat "$root/pyproject.toml" "$root/requirements/build.txt" "$root/requirements/$1.txt" | digest
}

digest() {
    if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi | cut -d ' ' -f 1
}

install() {
    local profile="$1"
    say "setting up .venv with Python $version ($profile)"
    trust_system_certificates
    if ! is_ours || ! has_installer; then make_venv; fi
    rm -f "$stamp"
    add --require-hashes -r "$root/requirements/build.txt"
    add --require-hashes --no-build-isolation -r "$root/requirements/$profile.txt"
    add --no-deps --no-build-isolation -e "$root"
    write_stamp "$profile"
    say "ready"
}

# test.txt holds serve.txt at the same versions, so a test set-up serves too.
write_stamp() {
    {
        printf '%s\n' "$version $venv"
        key "$1"
        if [ "$1" = test ]; then key serve; fi
    } >"$stamp.new"
    mv "$stamp.new" "$stamp"
}

has_installer() {
    has_uv || "$venv/bin/python" -c 'import pip' 2>/dev/null
}

has_uv() {
    command -v uv >/dev/null
}

# uv brings its own certificates; a company's own authority is known to the system only.
trust_system_certificates() {
    if [ -s /etc/ssl/certs/ca-certificates.crt ] || [ -s /etc/pki/tls/certs/ca-bundle.crt ]; then
        export UV_SYSTEM_CERTS=1 UV_NATIVE_TLS=1 # newer and older name
    fi
}

make_venv() {
    rm -rf "$venv"
    if has_uv; then
        uv venv --quiet --no-project --python "$python" "$venv"
    else
        "$python" -m venv "$venv"
    fi
}

# Installs with uv where it is, else with pip; both read the same hash-pinned files.
add() {
    if has_uv; then
        (cd "$root" && UV_COMPILE_BYTECODE=1 uv pip install --quiet --python "$venv/bin/python" "$@")
    else
        PIP_USER=0 "$venv/bin/python" -m pip --disable-pip-version-check --no-input install --quiet --use-pep517 "$@"
    fi
}

# Sets python and version to the first interpreter that will do.
find_python() {
    local candidate
    for candidate in ${PYTHON:+"$PYTHON"} python3 python3.14 python3.13 python3.12 python3.11; do
        if version="$(version_of "$candidate")"; then
            python="$candidate"
            return
        fi
    done
    explain_missing
    exit 1
}

# Prints the version when the interpreter is supported and can make a .venv, else fails.
version_of() {
    "$1" -c '
import sys
if not (3, 11) <= sys.version_info < (3, 15):
    sys.exit(1)
if sys.argv[1] == "pip":
    import ensurepip, venv
print("%d.%d" % sys.version_info[:2])
' "$(has_uv && echo uv || echo pip)" 2>/dev/null
}

explain_missing() {
    local release
    release="$(newest_python)"
    case "$release" in
        "") say "Python 3.11 or newer is missing. On Debian or Ubuntu: sudo apt-get install -y python3 python3-venv" ;;
        3.1[1-4]) say "Python $release cannot make a virtual environment. On Debian or Ubuntu: sudo apt-get install -y python$release-venv" ;;
        *) say "Python $release is too old (3.11 to 3.14 will do). On Debian or Ubuntu: sudo apt-get install -y python3.11 python3.11-venv" ;;
    esac
    say "On macOS: brew install python@3.13. Where uv is installed: uv python install 3.13, then put it on PATH."
}

newest_python() {
    local candidate
    for candidate in ${PYTHON:+"$PYTHON"} python3.14 python3.13 python3.12 python3.11 python3; do
        "$candidate" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null && return
    done
    true
}

say() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
}
