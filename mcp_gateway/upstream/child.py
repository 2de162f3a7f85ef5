"""What a child process is given: its environment, and the program behind a command.

The gateway's environment and an entry's own variables enter; a small environment
and an absolute program leave. Nothing is started here, and no secret of another
server is passed on. Programs that a desktop host does not see on its PATH
(installed by nvm, volta, pyenv and the like) are found.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from mcp_gateway.errors import UpstreamStartFailed

PASSED_ON = (
    *("HOME", "LANG", "LC_ALL", "TMPDIR", "USER", "LOGNAME", "SHELL", "TERM"),
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "GIT_SSL_CAINFO"),
)
"""Variables every child may see, PATH aside. The rest must be named by the server's own entry."""

_USER_FOLDERS = (
    *(".local/bin", "bin", ".cargo/bin", "go/bin", ".bun/bin", ".deno/bin", ".nix-profile/bin"),
    *(".volta/bin", ".local/share/fnm/aliases/default/bin", ".fnm/aliases/default/bin"),
    *(".asdf/shims", ".local/share/mise/shims", ".pyenv/shims", ".rbenv/shims"),
)
"""Where people's installers put programs, below the home folder."""

_SYSTEM_FOLDERS = ("/opt/homebrew/bin", "/usr/local/bin", "/home/linuxbrew/.linuxbrew/bin", "/snap/bin")

_HINTS = {
    "npx": "install Node.js or give the full path",
    "npm": "install Node.js or give the full path",
    "node": "install Node.js or give the full path",
    "uvx": "install uv or give the full path",
    "uv": "install uv or give the full path",
    "docker": "install Docker or give the full path",
    "bunx": "install Bun or give the full path",
    "deno": "install Deno or give the full path",
}


def child_environment(extra: Mapping[str, str], environ: Mapping[str, str]) -> dict[str, str]:
    """The whole environment of one child; `extra` wins, a PATH in it is taken as it is."""
    kept = {name: environ[name] for name in PASSED_ON if name in environ}
    return {"PATH": _hydrated_path(environ), **kept, **extra}


def _hydrated_path(environ: Mapping[str, str]) -> str:
    """The folder of our own interpreter, the given PATH, then the usual folders that exist."""
    beside_us = [str(Path(sys.executable).parent)] if sys.executable else []
    given = environ.get("PATH", os.defpath).split(os.pathsep)
    usual = [folder for folder in _usual_folders(environ.get("HOME")) if os.path.isdir(folder)]
    return os.pathsep.join(_distinct([*beside_us, *given, *usual]))


def _usual_folders(home: str | None) -> Iterator[str]:
    if home:
        yield from (os.path.join(home, folder) for folder in _USER_FOLDERS)
        yield from _nvm_folders(Path(home, ".nvm/versions/node"))
    yield from _SYSTEM_FOLDERS


def _nvm_folders(versions: Path) -> list[str]:
    """nvm has no fixed folder: the newest Node.js comes first."""
    try:
        found = [folder for folder in versions.iterdir() if folder.name.startswith("v")]
    except OSError:
        return []
    newest_first = sorted(
        found, key=lambda folder: [int(part) for part in re.findall(r"\d+", folder.name)], reverse=True
    )
    return [str(folder / "bin") for folder in newest_first]


def _distinct(folders: Iterable[str]) -> list[str]:
    """Each folder once. An empty entry would mean the current folder and is left out."""
    return list(dict.fromkeys(folder for folder in folders if folder))


def resolve_command(command: str, path: str, cwd: str | None = None, *, server: str | None = None) -> str:
    """The absolute path of the program that `command` names.

    A bare name is looked up on `path`; one with a slash is relative to `cwd`.

    Raises:
        UpstreamStartFailed: there is no such program, it is not executable, or `cwd` is no folder.
    """
    if cwd is not None and not os.path.isdir(cwd):
        raise start_failed(server, "its working folder does not exist; check `cwd`")
    if os.sep in command:
        return _existing_program(os.path.abspath(os.path.join(cwd or os.curdir, command)), server)
    found = shutil.which(command, path=path)
    if found is not None:
        return os.path.abspath(found)
    for folder in _distinct(path.split(os.pathsep)):
        if os.path.isfile(os.path.join(folder, command)):
            raise start_failed(server, f"{command!r} is on PATH but not executable; chmod +x it")
    hint = _HINTS.get(command, "install it or give the full path")
    raise start_failed(server, f"{command!r} is not on PATH; {hint}")


def _existing_program(program: str, server: str | None) -> str:
    name = os.path.basename(program)
    if os.path.isdir(program):
        raise start_failed(server, f"{name!r} is a folder; give the path of a program")
    if not os.path.exists(program):
        raise start_failed(server, f"{name!r} does not exist at the given path; check the path")
    if not os.access(program, os.X_OK):
        raise start_failed(server, f"{name!r} is not executable; chmod +x it")
    return program


def start_failed(server: str | None, reason: str) -> UpstreamStartFailed:
    """`reason` may hold a program's own name, but no path: callers see this message."""
    who = f"upstream {server!r} cannot start" if server else "cannot start"
    return UpstreamStartFailed(f"{who}: {reason}", server=server)
