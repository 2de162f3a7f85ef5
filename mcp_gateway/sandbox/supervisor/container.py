"""The command lines of a container engine for one run, and the two files that they name. Pure: it only makes text.

The program's environment goes through a file, because a command line can be read by every user of the host.
"""

from __future__ import annotations

from .spec import BASE_ENV, MAX_FILES, SCRATCH, SHM_BYTES, TMP_BYTES, Engine, SetupFailed, Spec

NAME = "mcp-gateway-sandbox-"
"""Begins the name of every container of ours; the supervisor's process id follows."""
INSPECTED = "{{.State.StartedAt}}|{{.State.OOMKilled}}"
"""What is asked of a container that has ended. docker and podman agree on these words."""
_LOCKED_BYTES = 64 << 10
"""What Linux allowed by itself before 5.16 (RLIMIT_MEMLOCK): enough for keys in memory."""
_NEVER = "0001-01-01"
"""Go's zero time: how both engines write the start of a container that never started."""

_INIT_COMPLAINT = "ERROR (catatonit:2): failed to exec pid1: "


def run(spec: Spec, engine: Engine, name: str, user: str, threads: int, files: tuple[str, str]) -> list[str]:
    """What starts the run in the foreground. `user` is UID:GID; `files` are the environment and the seccomp profile.

    The options of the configuration come last, so that they win.
    """
    environment_file, profile_file = files
    return [
        *(engine.path, "run", "--interactive", "--name", name, "--pull", "never", "--log-driver", "none"),
        # Signals of a user's own process reach it only when it is not process 1, which --init is instead.
        *("--init", "--stop-timeout", "0", "--entrypoint", "", "--hostname", "sandbox", "--user", user),
        *("--network", "host" if spec.network else "none", "--ipc", "private"),
        *("--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"),
        *("--security-opt", f"seccomp={profile_file}", "--env-file", environment_file),
        *_limits(spec, threads),
        *_places(spec, "" if engine.is_podman else _of_docker(user)),
        *(_podman(engine, use_cgroup=spec.use_cgroup) if engine.is_podman else []),
        *engine.options,
        *(engine.image, *spec.argv),
    ]


def _limits(spec: Spec, threads: int) -> list[str]:
    limits = spec.limits
    values = {
        "core": 0,
        "fsize": limits.file_bytes,
        "memlock": _LOCKED_BYTES,
        "msgqueue": 0,
        "nofile": limits.open_files,
        "nproc": threads,
        "rtprio": 0,
    }
    options = []
    if spec.use_cgroup:
        options += ["--memory", str(limits.memory_bytes), "--memory-swap", str(limits.memory_bytes)]
        options += ["--pids-limit", str(threads)]
    else:
        # Only here: docker's runtime obeys it while it prepares the program, and needs more than a small program may.
        values["data"] = limits.memory_bytes
    for name, value in values.items():
        options += ["--ulimit", f"{name}={value}:{value}"]
    if limits.cpu_s is not None:
        soft_s = max(1, int(limits.cpu_s))
        options += ["--ulimit", f"cpu={soft_s}:{soft_s + 1}"]
    return options


def _places(spec: Spec, more: str) -> list[str]:
    """`more`: further options of the folders in memory."""
    folder = f"rw,exec,nosuid,nodev,mode=1777{more}"
    tmp_bytes = min(TMP_BYTES, spec.limits.disk_bytes)
    options = ["--shm-size", str(SHM_BYTES), "--tmpfs", f"/tmp:{folder},size={tmp_bytes}"]  # noqa: S108 - inside
    options += ["--tmpfs", "/sys/fs/cgroup:ro,size=4096,mode=0555"]  # the host's groups are nobody's business
    if spec.workdir is None:
        options += ["--tmpfs", f"{SCRATCH}:{folder},size={spec.limits.disk_bytes}"]
    for path in spec.read_only:
        options += ["--mount", f"type=bind,source={path},target={path},readonly"]
    if spec.workdir is not None:
        options += ["--mount", f"type=bind,source={spec.workdir},target={spec.workdir}"]
    return [*options, "--workdir", spec.workdir or SCRATCH]


def _of_docker(user: str) -> str:
    """What podman 4 does not take. The owner, because runc gives a folder that the image has the image's mode."""
    uid, gid = user.split(":")
    return f",nr_inodes={MAX_FILES},uid={uid},gid={gid}"


def _podman(engine: Engine, *, use_cgroup: bool) -> list[str]:
    """What docker has not, or does by itself."""
    options = ["--read-only-tmpfs=false"]
    if engine.is_rootless:
        options += ["--userns=keep-id"]
    if not use_cgroup:
        options += ["--cgroups=disabled"]
    return options


def remove(engine: str, *names: str) -> list[str]:
    """What kills a container and takes it away."""
    return [engine, "rm", "--force", *names]


def inspect(engine: str, name: str) -> list[str]:
    """What asks for that which `inspected` reads."""
    return _question(engine, name, INSPECTED)


def first_process(engine: str, name: str) -> list[str]:
    """What asks for the host's number of a container's process 1; it is 0 before the start."""
    return _question(engine, name, "{{.State.Pid}}")


def _question(engine: str, name: str, form: str) -> list[str]:
    return [engine, "inspect", "--type", "container", "--format", form, name]


def inspected(answer: str) -> tuple[bool, bool]:
    """Whether the program was started, and whether the kernel ended it for want of memory."""
    started_at, _, memory = answer.strip().rpartition("|")
    return bool(started_at) and not started_at.startswith(_NEVER), memory == "true"


def missing_program(complaint: str) -> int | None:
    """The exit status of a shell for what podman's init reports with a status of 1, as a program might."""
    if not complaint.startswith(_INIT_COMPLAINT):
        return None
    return 126 if complaint.endswith("Permission denied") else 127


def environment(env: dict[str, str]) -> str:
    """An environment file: a line a variable, which has no way to hold a line break. Raises SetupFailed for one."""
    for name, value in env.items():
        if "\n" in name + value or "\r" in name + value:
            raise SetupFailed(f"a container's environment holds no line breaks, and that of {name!r} has one")
        if name.startswith("#") or any(character.isspace() for character in name):
            raise SetupFailed(f"a container's environment does not take the name {name!r}")
    return "".join(f"{name}={value}\n" for name, value in (BASE_ENV | env).items())
