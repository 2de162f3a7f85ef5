"""Which sandbox works here: tries the backends in order and believes only what the self-test saw."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import anyio

from mcp_gateway.errors import BadConfig

from . import engines
from .model import Attempt, Backend, Container, Request, Unavailable
from .runner import Sandbox, SandboxFailed
from .selftest import probe
from .supervisor import bubblewrap, landlock, seccomp

BACKENDS = (Backend.BUBBLEWRAP, Backend.LANDLOCK, Backend.CONTAINER)
"""In order of trust and cost: a root of its own first, and what needs an image and an engine last."""
AUTO = "auto"

_TRUSTED_PATH = "/usr/bin:/bin:/usr/local/bin"
"""Where bubblewrap is looked for: never in the caller's PATH."""


async def select(
    preference: str = AUTO, private: Sequence[Path] = (), container: Container | None = None
) -> Sandbox | Unavailable:
    """The first backend whose self-test holds, or what was tried, why it failed and how to mend it.

    preference: `auto`, or the name of the only backend to try. private: folders kept from every working directory.
    container: what a container is made of; without it `auto` tries none. Takes about a second a backend, a container
    several. Raises BadConfig for a name that is no backend, and an image that is not pinned.
    """
    attempts = []
    for backend in _candidates(preference, container):
        tried, sandbox = await attempt(backend, private, container)
        if sandbox is not None:
            return sandbox
        attempts.append(tried)
    return Unavailable(tuple(attempts))


async def first_running(preference: str = AUTO, container: Container | None = None) -> Sandbox | Unavailable:
    """The first backend that runs a program at all: for one command, where a whole self-test would take longer."""
    attempts = []
    for backend in _candidates(preference, container):
        found = await anyio.to_thread.run_sync(_find, backend, (), container)
        if isinstance(found, Sandbox):
            try:
                await found.run(Request(("true",)))
            except SandboxFailed as failure:
                found = Attempt(backend, reason=failure.message, fix=_FIXES[backend])
            else:
                return found
        attempts.append(found)
    return Unavailable(tuple(attempts))


def _candidates(preference: str, container: Container | None) -> tuple[Backend, ...]:
    names = [AUTO, *BACKENDS]
    if preference not in names:
        raise BadConfig(f"unknown sandbox {preference!r}; it is one of {', '.join(names)}")
    if preference != AUTO:
        return (Backend(preference),)
    return tuple(backend for backend in BACKENDS if container or backend is not Backend.CONTAINER)


async def attempt(
    backend: Backend, private: Sequence[Path] = (), container: Container | None = None
) -> tuple[Attempt, Sandbox | None]:
    """Test one backend; the sandbox is None unless every probe holds."""
    found = await anyio.to_thread.run_sync(_find, backend, tuple(private), container)
    if isinstance(found, Attempt):
        return found, None
    try:
        probes = await probe(found)
    except SandboxFailed as failure:
        return Attempt(backend, reason=failure.message, fix=_FIXES[backend]), None
    failed = [p.name for p in probes if not p.holds]
    if failed:
        return Attempt(backend, probes, f"does not hold: {', '.join(failed)}", _FIXES[backend]), None
    return Attempt(backend, probes), found


_FIXES = {
    Backend.BUBBLEWRAP: "allow user namespaces (sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone=1, "
    "kernel.apparmor_restrict_unprivileged_userns=0), and /proc mounts inside containers",
    Backend.LANDLOCK: "run Linux 6.12 or newer with landlock in the kernel's lsm= list",
    Backend.CONTAINER: "use an image with /bin/sh and the usual small programs (cat, env, sleep, awk), an engine "
    "on this machine with its init (podman: the package catatonit), and control groups for memory and pids",
}


def _find(backend: Backend, private: tuple[Path, ...], container: Container | None) -> Attempt | Sandbox:
    if not seccomp.supported():
        return Attempt(backend, reason="no seccomp filter for this processor", fix="use x86_64 or aarch64")
    match backend:
        case Backend.BUBBLEWRAP:
            return _find_bubblewrap(private)
        case Backend.LANDLOCK:
            return _find_landlock(private)
        case Backend.CONTAINER:
            return _find_container(private, container)


def _find_bubblewrap(private: tuple[Path, ...]) -> Attempt | Sandbox:
    path = shutil.which("bwrap", path=_TRUSTED_PATH)
    if path is None:
        return Attempt(Backend.BUBBLEWRAP, reason="bwrap is not installed", fix="install the package bubblewrap")
    answer = subprocess.run([path, "--version"], env={}, capture_output=True, text=True, timeout=10, check=False)  # noqa: S603 - an absolute path
    version = tuple(map(int, re.findall(r"\d+", answer.stdout)[:2]))
    if version < bubblewrap.MIN_VERSION:
        return Attempt(Backend.BUBBLEWRAP, reason=f"{answer.stdout.strip()} is too old", fix="install 0.8 or newer")
    return Sandbox(Backend.BUBBLEWRAP, bwrap=path, private=private)


def _find_landlock(private: tuple[Path, ...]) -> Attempt | Sandbox:
    version = landlock.abi()
    if version < landlock.MIN_ABI:
        reason = f"the kernel's Landlock ABI is {version}, {landlock.MIN_ABI} is the least that confines TCP"
        return Attempt(Backend.LANDLOCK, reason=reason, fix=_FIXES[Backend.LANDLOCK])
    return Sandbox(Backend.LANDLOCK, private=private)


def _find_container(private: tuple[Path, ...], container: Container | None) -> Attempt | Sandbox:
    found = engines.find(container)
    if isinstance(found, Attempt):
        return found
    # Somebody who switches control groups off gets the limits that need none.
    use_cgroup = "--cgroups=disabled" not in found.options
    return Sandbox(Backend.CONTAINER, private=private, engine=found, use_cgroup=use_cgroup)
