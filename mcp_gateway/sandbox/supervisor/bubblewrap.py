"""The command line of bubblewrap for one run: a namespace of every kind, /usr read-only, everything else made up.

The options go through a descriptor (`--args`), because pid 1 of the sandbox shows its own command line to the program.
"""

from __future__ import annotations

import os

from . import seccomp, system
from .spec import BASE_ENV, INSIDE_ID, SCRATCH, SHM_BYTES, TMP_BYTES, Spec

MIN_VERSION = (0, 8)
"""First release with --disable-userns and --size."""

_PASSWD = f"sandbox:x:{INSIDE_ID}:{INSIDE_ID}:sandbox:/tmp:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"
_GROUP = f"sandbox:x:{INSIDE_ID}:\nnogroup:x:65534:\n"


def command(spec: Spec, sources: dict[str, str], status_fd: int, *, cgroup: bool) -> tuple[list[str], list[int]]:
    """What to execute, and the descriptors to keep open for it.

    sources: where the real paths of the spec are to be found on the host (see `staging`).
    """
    filter_fd = _memory_file(seccomp.build(seccomp.families(network=spec.network), memfd=cgroup))
    passwd_fd, group_fd = _memory_file(_PASSWD.encode()), _memory_file(_GROUP.encode())
    options = [
        *_isolation(spec.network),
        *_environment(spec.env),
        *_system(spec.network),
        *("--ro-bind-data", str(passwd_fd), "/etc/passwd", "--ro-bind-data", str(group_fd), "/etc/group"),
        *("--proc", "/proc", "--dev", "/dev", "--size", str(SHM_BYTES), "--tmpfs", "/dev/shm"),  # noqa: S108 - inside
        *("--remount-ro", "/dev"),
        *("--size", str(min(TMP_BYTES, spec.limits.disk_bytes)), "--tmpfs", "/tmp"),  # noqa: S108 - inside
        *("--symlink", "/tmp", "/var/tmp"),  # noqa: S108 - inside
        *_places(spec, sources),
        *("--remount-ro", "/", "--seccomp", str(filter_fd), "--json-status-fd", str(status_fd)),
    ]
    args_fd = _memory_file(b"".join(os.fsencode(option) + b"\0" for option in options))
    argv = [spec.bwrap, "--args", str(args_fd), "--", *spec.argv]
    return argv, [args_fd, filter_fd, passwd_fd, group_fd, status_fd]


def _isolation(network: bool) -> list[str]:
    spaces = ["--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"]
    return [
        *spaces,
        *([] if network else ["--unshare-net"]),
        *("--disable-userns", "--uid", str(INSIDE_ID), "--gid", str(INSIDE_ID), "--hostname", "sandbox"),
        *("--die-with-parent", "--new-session", "--cap-drop", "ALL"),
    ]


def _environment(env: dict[str, str]) -> list[str]:
    options = ["--clearenv"]
    for name, value in (BASE_ENV | env).items():
        options += ["--setenv", name, value]
    return options


def _system(network: bool) -> list[str]:
    options = ["--ro-bind", "/usr", "/usr"]
    for path, target in system.root_entries():
        options += ["--ro-bind", path, path] if target is None else ["--symlink", target, path]
    for path in system.etc_paths(network=network):
        options += ["--ro-bind", path, path]
    return options


def _places(spec: Spec, sources: dict[str, str]) -> list[str]:
    """Made-up places first: what is named of the host may lie below one of them."""
    options = []
    if spec.workdir is None:
        options += ["--size", str(spec.limits.disk_bytes), "--tmpfs", SCRATCH]
    for path in spec.read_only:
        options += ["--ro-bind", sources.get(path, path), path]
    if spec.workdir is not None:
        options += ["--bind", sources.get(spec.workdir, spec.workdir), spec.workdir]
    return [*options, "--chdir", spec.workdir or SCRATCH]


def _memory_file(content: bytes) -> int:
    """A descriptor that reads as `content`, kept across exec."""
    fd = os.memfd_create("sandbox", 0)
    os.write(fd, content)
    os.lseek(fd, 0, os.SEEK_SET)
    return fd
