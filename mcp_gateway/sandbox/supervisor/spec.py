"""What the supervisor is told: a JSON object in, plain attributes out.

It trusts the sender (the gateway wrote it) and knows nothing of requests, callers or configuration.
"""

from __future__ import annotations

import json

MIB = 1 << 20
TMP_BYTES = 64 * MIB
"""Private /tmp, never more than the disk limit (our choice)."""
SHM_BYTES = 16 * MIB
"""Shared memory files: enough for semaphores and small queues (our choice)."""
MAX_FILES = 20_000
"""Files and directories that a run may add: a bound on inodes, which no byte limit gives (our choice)."""
SCRATCH = "/scratch"
"""Where the scratch working directory is seen under bubblewrap and in a container."""
INSIDE_ID = 1000
"""User and group id that a program sees under bubblewrap."""
BASE_ENV = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/tmp",  # noqa: S108 - the sandbox's own
    "TMPDIR": "/tmp",  # noqa: S108 - the sandbox's own
    "LANG": "C.UTF-8",
}

BUBBLEWRAP = "bubblewrap"
LANDLOCK = "landlock"
CONTAINER = "container"

CAPTURE = "capture"
"""Streams are collected and reported as JSON: the gateway's `run`."""
RELAY = "relay"
"""Streams are copied to and from our own, under the output limit: the command line."""
DIRECT = "direct"
"""The program owns our streams: a stdio upstream."""


class SetupFailed(Exception):
    """The sandbox could not be built, or was taken down: there is no outcome."""


class Limits:
    """The limits of one run; None switches a limit off (only streams and time of a long-lived upstream do)."""

    __slots__ = (
        "cpu_s",
        "disk_bytes",
        "file_bytes",
        "memory_bytes",
        "open_files",
        "output_bytes",
        "pids",
        "wall_s",
    )

    def __init__(
        self,
        cpu_s: float | None,
        wall_s: float | None,
        memory_bytes: int,
        pids: int,
        open_files: int,
        file_bytes: int,
        disk_bytes: int,
        output_bytes: int | None,
    ) -> None:
        self.cpu_s = cpu_s
        self.wall_s = wall_s
        self.memory_bytes = memory_bytes
        self.pids = pids
        self.open_files = open_files
        self.file_bytes = file_bytes
        self.disk_bytes = disk_bytes
        self.output_bytes = output_bytes


class Engine:
    """A container engine and how to use it.

    path: absolute. is_podman: podman, not docker. is_rootless: podman by somebody who is not root. image: by digest.
    options: further words for its `run`. env: the engine's own environment, never the program's.
    """

    __slots__ = ("env", "image", "is_podman", "is_rootless", "options", "path")

    def __init__(
        self, path: str, is_podman: bool, is_rootless: bool, image: str, options: list[str], env: dict[str, str]
    ) -> None:
        self.path = path
        self.is_podman = is_podman
        self.is_rootless = is_rootless
        self.image = image
        self.options = options
        self.env = env


class Spec:
    """One run: what, where, how confined. `workdir` None asks for a scratch directory.

    engine: where the backend is CONTAINER.
    """

    __slots__ = (
        "argv",
        "backend",
        "bwrap",
        "engine",
        "env",
        "limits",
        "mode",
        "network",
        "read_only",
        "stdin_bytes",
        "use_cgroup",
        "workdir",
    )

    def __init__(
        self,
        mode: str,
        backend: str,
        argv: list[str],
        env: dict[str, str],
        workdir: str | None,
        read_only: list[str],
        network: bool,
        limits: dict[str, int],
        bwrap: str,
        stdin_bytes: int = 0,
        use_cgroup: bool = True,
        engine: Engine | None = None,
    ) -> None:
        self.mode = mode
        self.backend = backend
        self.argv = argv
        self.env = env
        self.workdir = workdir
        self.read_only = read_only
        self.network = network
        self.limits = Limits(**limits)
        self.bwrap = bwrap
        self.stdin_bytes = stdin_bytes
        self.use_cgroup = use_cgroup
        self.engine = engine


def parse(text: str | bytes) -> Spec:
    fields = json.loads(text)
    if fields.get("engine"):
        fields["engine"] = Engine(**fields["engine"])
    return Spec(**fields)
