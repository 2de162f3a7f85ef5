"""Finding a container engine and its image. What is asked for enters; an `Engine`, or why there is none, leaves.

Nothing is ever pulled: an image that is not here is named, with the command that gets it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from mcp_gateway.errors import BadConfig
from mcp_gateway.security.images import is_pinned

from .model import Attempt, Backend, Container, Engine
from .supervisor import container as commands

KINDS = ("podman", "docker")
"""In the order of `auto`: without a daemon first, since then the limits can be watched from outside too."""
_PATH = "/usr/local/bin:/usr/bin:/bin"
_ENGINE_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Where an engine finds its own parts: a runtime, a monitor, the tools for user namespaces."""
_PASSED_ON = (
    "HOME",
    "XDG_RUNTIME_DIR",
    "DOCKER_HOST",
    "CONTAINERS_CONF",
    "CONTAINERS_STORAGE_CONF",
    "REGISTRY_AUTH_FILE",
)
_ANSWERS_WITHIN_S = 20.0


def find(wanted: Container | None) -> Engine | Attempt:
    """The engine, with its image present. Takes away what killed supervisors have left there.

    Raises BadConfig for an image that is not pinned.
    """
    if wanted is None:
        fix = "write tools.execute.container.image, by its digest (name@sha256:...)"
        return Attempt(Backend.CONTAINER, reason="no image is configured", fix=fix)
    if not is_pinned(wanted.image):
        raise BadConfig(f"the image {wanted.image!r} is not pinned; write name@sha256:... or sha256:...")
    path = _path(wanted.engine)
    if path is None:
        missing = " and ".join(KINDS) if wanted.engine == "auto" else wanted.engine
        fix = "install podman or docker, or write its absolute path as tools.execute.container.engine"
        return Attempt(Backend.CONTAINER, reason=f"not installed: {missing}", fix=fix)
    env = {"PATH": _ENGINE_PATH} | {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    version = _answer([path, "--version"], env)
    if version.returncode != 0:
        return Attempt(Backend.CONTAINER, reason=f"{path} does not answer: {_last_line(version)}")
    is_podman = version.stdout.lower().startswith("podman")
    if (found := _answer([path, "image", "inspect", "--format", "{{.Id}}", wanted.image], env)).returncode != 0:
        fix = f"start it where it has a daemon, and get the image: {Path(path).name} pull {wanted.image}"
        return Attempt(Backend.CONTAINER, reason=f"no such image here: {_last_line(found)}", fix=fix)
    _sweep(path, env)
    is_rootless = is_podman and os.geteuid() != 0
    return Engine(path, is_podman, is_rootless, wanted.image, tuple(wanted.options), env)


def _path(engine: str) -> str | None:
    if engine.startswith("/"):
        return engine if os.access(engine, os.X_OK) else None
    names = KINDS if engine == "auto" else (engine,)
    return next((path for name in names if (path := shutil.which(name, path=_PATH))), None)


def _sweep(path: str, env: dict[str, str]) -> None:
    """Remove the containers of supervisors that are gone: only one that was itself killed leaves any."""
    listing = _answer([path, "ps", "--all", "--filter", f"name={commands.NAME}", "--format", "{{.Names}}"], env)
    left = [name for name in listing.stdout.split() if _is_left(name)]
    if left:
        _answer(commands.remove(path, *left), env)


def _is_left(name: str) -> bool:
    pid = name.removeprefix(commands.NAME).partition("-")[0]
    return name.startswith(commands.NAME) and pid.isdigit() and not Path(f"/proc/{pid}").exists()


def _answer(command: list[str], env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(  # noqa: S603 - the configured engine
            command,
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_ANSWERS_WITHIN_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as failure:
        return subprocess.CompletedProcess(command, 1, "", str(failure))


def _last_line(answer: subprocess.CompletedProcess[str]) -> str:
    return answer.stderr.strip().rpartition("\n")[2] or f"exit status {answer.returncode}"
