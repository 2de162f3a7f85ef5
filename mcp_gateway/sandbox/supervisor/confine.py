"""What the forked child does to itself before it becomes the program: user, limits, privileges, and the last layers."""

from __future__ import annotations

import os
import resource
import signal
import socket

from . import landlock, linux, processes, seccomp, system
from .spec import BASE_ENV, Spec

_FIRST_UID = 60_800
_UIDS = 256
"""A range that neither Debian nor systemd hands out (systemd, UIDS-GIDS: 60706-61183 is unused)."""
_NICE = 10
_OOM_SCORE = 500
_SPARE_THREADS = 4
"""Bubblewrap's own processes, and one to see the limit passed by."""
_SHELL_NOT_FOUND, _SHELL_NOT_EXECUTABLE = 127, 126

_held: list[socket.socket] = []


class Identity:
    """The user that a run is; `changes` is False when it is our own."""

    __slots__ = ("changes", "gid", "uid")

    def __init__(self, uid: int, gid: int, *, changes: bool) -> None:
        self.uid, self.gid, self.changes = uid, gid, changes

    @property
    def owns_nothing(self) -> bool:
        """Whether no file and no other process on the host is this user's."""
        return self.changes and _FIRST_UID <= self.uid < _FIRST_UID + _UIDS


def choose_identity(workdir: str | None) -> Identity:
    """Our own user; but as root the owner of the working directory, or a user that no other run is."""
    if os.geteuid() != 0:
        return Identity(os.geteuid(), os.getegid(), changes=False)
    if workdir is not None and (owner := os.stat(workdir)).st_uid != 0:
        return Identity(owner.st_uid, owner.st_gid, changes=True)
    uid = _free_uid()
    return Identity(uid, uid, changes=True)


def _free_uid() -> int:
    """Taken by the name of an abstract socket, which vanishes with this process."""
    first = os.getpid() % _UIDS
    for offset in range(_UIDS):
        uid = _FIRST_UID + (first + offset) % _UIDS
        holder = socket.socket(socket.AF_UNIX)
        try:
            holder.bind(f"\0mcp-gateway-sandbox-uid-{uid}")
        except OSError:
            holder.close()
            continue
        _held.append(holder)
        return uid
    return _FIRST_UID + first


def thread_limit(spec: Spec, identity: Identity) -> int:
    """RLIMIT_NPROC counts all of a user's threads, so what runs already is added."""
    before = 0 if identity.owns_nothing else processes.threads_of_user(identity.uid)
    return before + spec.limits.pids + _SPARE_THREADS


def lower(spec: Spec, identity: Identity, threads: int) -> None:
    """Give up the user, set every limit hard, and let the kernel end us with our parent."""
    _prefer_for_killing()
    os.nice(_NICE)
    for name, value in _rlimits(spec, threads):
        resource.setrlimit(name, (value, value))
    if spec.limits.cpu_s is not None:
        soft_s = max(1, int(spec.limits.cpu_s))
        resource.setrlimit(resource.RLIMIT_CPU, (soft_s, soft_s + 1))
    if identity.changes:
        os.setgroups([])
        os.setresgid(identity.gid, identity.gid, identity.gid)
        os.setresuid(identity.uid, identity.uid, identity.uid)
    # A change of user forgets the parent-death signal, so it comes after.
    linux.prctl(linux.PR_SET_PDEATHSIG, signal.SIGKILL)


def _rlimits(spec: Spec, threads: int) -> list[tuple[int, int]]:
    limits = spec.limits
    return [
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NPROC, threads),
        (resource.RLIMIT_NOFILE, limits.open_files),
        (resource.RLIMIT_FSIZE, limits.file_bytes),
        # Private writable memory. RLIMIT_AS would refuse runtimes that only reserve addresses (node, Go, Java).
        (resource.RLIMIT_DATA, limits.memory_bytes),
        (
            resource.RLIMIT_MEMLOCK,
            min(limits.memory_bytes, resource.getrlimit(resource.RLIMIT_MEMLOCK)[1] & (2**62 - 1)),
        ),
        (resource.RLIMIT_MSGQUEUE, 0),
        (resource.RLIMIT_RTPRIO, 0),
        (resource.RLIMIT_NICE, 0),
    ]


def _prefer_for_killing() -> None:
    try:
        with open("/proc/self/oom_score_adj", "w") as file:
            file.write(str(_OOM_SCORE))
    except OSError:
        pass  # only a preference, and /proc may be absent


def landlocked(spec: Spec, writable: list[str], *, cgroup: bool, owns_nothing: bool) -> None:
    """The layers that bubblewrap brings by itself: no new privileges, Landlock, and the seccomp filter on top."""
    linux.prctl(linux.PR_SET_NO_NEW_PRIVS, 1)
    version = landlock.abi()
    rules = [("/usr", landlock.READ)]
    rules += [(path, landlock.READ) for path, target in system.root_entries() if target is None]
    rules += [(path, landlock.READ) for path in system.etc_paths(network=spec.network)]
    rules += [(path, landlock.READ) for path in spec.read_only]
    rules += [(f"/dev/{name}", landlock.DEVICE) for name in ("null", "zero", "full", "random", "urandom")]
    rules += [(path, landlock.write_all(version)) for path in writable]
    landlock.restrict(rules, network=spec.network)
    families = (seccomp.AF_INET, seccomp.AF_INET6, seccomp.AF_NETLINK) if spec.network else ()
    signals = version >= landlock.FULL_ABI
    linux.install_filter(seccomp.build(families, memfd=cgroup, signals=signals, by_path=owns_nothing))


def become(argv: list[str], env: dict[str, str]) -> None:
    """Replace this process by the program, looked for in the environment's PATH; ends it as a shell would if absent."""
    for number in (signal.SIGPIPE, signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    try:
        os.execvpe(argv[0], argv, env)  # noqa: S606 - the sandboxed program
    except OSError as error:
        os.write(2, f"{argv[0]}: {error.strerror}\n".encode("utf-8", "replace"))
        os._exit(_SHELL_NOT_FOUND if isinstance(error, FileNotFoundError) else _SHELL_NOT_EXECUTABLE)


def environment(spec: Spec, tmp: str) -> dict[str, str]:
    # What is refused is not absent, and git takes a system configuration that it may not read for a fatal error.
    return BASE_ENV | {"HOME": tmp, "TMPDIR": tmp, "GIT_CONFIG_NOSYSTEM": "1"} | spec.env
