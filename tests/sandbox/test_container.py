"""The command lines for a container engine, and the files that they name."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from mcp_gateway.sandbox.supervisor import container, profile
from mcp_gateway.sandbox.supervisor.spec import Engine, SetupFailed, Spec

LIMITS = {
    "cpu_s": 10,
    "wall_s": 30,
    "memory_bytes": 1 << 29,
    "pids": 64,
    "open_files": 256,
    "file_bytes": 1 << 26,
    "disk_bytes": 1 << 28,
    "output_bytes": 1 << 20,
}


def engine(*, is_podman: bool = True, is_rootless: bool = False) -> Engine:
    return Engine("/bin/engine", is_podman, is_rootless, "sha256:0", ["--last=1"], {})


def spec(argv: tuple[str, ...] = ("prog",), **changed: object) -> Spec:
    values = {
        "mode": "capture",
        "backend": "container",
        "argv": list(argv),
        "env": {},
        "workdir": None,
        "read_only": [],
        "network": False,
        "limits": LIMITS,
        "bwrap": "",
    }
    return Spec(**(values | changed))  # type: ignore[arg-type] # values of many kinds, by name


def command(wanted: Spec, used: Engine) -> list[str]:
    return container.run(wanted, used, "name", "7:8", 68, ("/f/env", "/f/seccomp"))


def values(words: list[str], option: str) -> list[str]:
    return [value for word, value in pairwise(words) if word == option]


def test_the_program_comes_last_behind_the_image_and_further_options() -> None:
    words = command(spec(("--privileged", "-v")), engine())
    assert words[-4:] == ["--last=1", "sha256:0", "--privileged", "-v"]


def test_a_container_has_no_network_no_capabilities_and_a_user() -> None:
    words = command(spec(), engine())
    assert (values(words, "--network"), values(words, "--cap-drop")) == (["none"], ["ALL"])
    assert values(words, "--user") == ["7:8"]
    assert values(words, "--security-opt") == ["no-new-privileges", "seccomp=/f/seccomp"]
    assert "--read-only" in words
    assert values(command(spec(network=True), engine()), "--network") == ["host"]


def test_the_environment_is_no_part_of_the_command_line() -> None:
    words = command(spec(env={"TOKEN": "secret"}), engine())
    assert values(words, "--env-file") == ["/f/env"]
    assert not any("secret" in word for word in words)


def test_memory_and_processes_are_the_engines_where_it_has_control_groups() -> None:
    words = command(spec(), engine())
    assert (values(words, "--memory"), values(words, "--memory-swap")) == ([str(1 << 29)], [str(1 << 29)])
    assert values(words, "--pids-limit") == ["68"]
    assert not any(value.startswith("data=") for value in values(words, "--ulimit"))


def test_without_control_groups_they_are_limits_of_each_process() -> None:
    words = command(spec(use_cgroup=False), engine())
    assert "--cgroups=disabled" in words
    assert {"nproc=68:68", f"data={1 << 29}:{1 << 29}"} <= set(values(words, "--ulimit"))
    assert values(words, "--memory") == values(words, "--pids-limit") == []


def test_a_run_without_an_end_has_no_limit_of_processor_time() -> None:
    words = command(spec(limits=LIMITS | {"cpu_s": None}), engine())
    assert not any(value.startswith("cpu=") for value in values(words, "--ulimit"))


def test_folders_of_the_host_are_bound_where_they_are() -> None:
    words = command(spec(workdir="/w", read_only=["/r"]), engine())
    assert values(words, "--mount") == ["type=bind,source=/r,target=/r,readonly", "type=bind,source=/w,target=/w"]
    assert values(words, "--workdir") == ["/w"]
    assert not any(place.startswith("/scratch") for place in values(words, "--tmpfs"))


def test_only_podman_maps_an_ordinary_user_and_only_docker_counts_inodes() -> None:
    podman, docker = command(spec(), engine(is_rootless=True)), command(spec(), engine(is_podman=False))
    assert "--userns=keep-id" in podman
    assert not any("nr_inodes" in word for word in podman)
    assert values(docker, "--tmpfs")[-1].endswith(f"nr_inodes=20000,uid=7,gid=8,size={1 << 28}")
    assert not any(word.startswith(("--userns", "--read-only-tmpfs")) for word in docker)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("2026-11-24T14:00:00Z|false\n", (True, False)),
        ("2026-11-24 14:00:00.1 +0000 UTC|true\n", (True, True)),
        ("0001-01-01T00:00:00Z|false\n", (False, False)),
        ("0001-01-01 00:00:00 +0000 UTC|false\n", (False, False)),
        ("", (False, False)),
    ],
)
def test_both_engines_words_on_an_end_are_understood(answer: str, expected: tuple[bool, bool]) -> None:
    assert container.inspected(answer) == expected


@pytest.mark.parametrize(
    ("complaint", "code"),
    [
        ("ERROR (catatonit:2): failed to exec pid1: No such file or directory", 127),
        ("ERROR (catatonit:2): failed to exec pid1: Permission denied", 126),
        ("something else", None),
    ],
)
def test_a_missing_program_is_told_by_the_init(complaint: str, code: int | None) -> None:
    assert container.missing_program(complaint) == code


def test_an_environment_file_has_a_line_for_each_variable() -> None:
    lines = container.environment({"A": "b c=d", "HOME": "/h"}).splitlines()
    assert {"A=b c=d", "HOME=/h", "LANG=C.UTF-8"} <= set(lines)
    assert "HOME=/tmp" not in lines


@pytest.mark.parametrize("env", [{"A": "x\ny"}, {"A": "x\ry"}, {"A B": "x"}, {"#A": "x"}])
def test_what_an_environment_file_cannot_say_is_refused(env: dict[str, str]) -> None:
    with pytest.raises(SetupFailed, match="a container's environment"):
        container.environment(env)


@pytest.mark.parametrize(("network", "denied"), [(False, {0}), (True, {0, 1, 3, 4, 5, 6, 7, 8, 9, *range(11, 16)})])
def test_the_profile_denies_all_families_but_those_of_the_run(network: bool, denied: set[int]) -> None:
    rules = [rule for rule in json.loads(profile.text(network=network))["syscalls"] if rule["names"] == ["socket"]]
    conditions = [(condition["op"], condition["value"]) for rule in rules for condition in rule["args"]]
    assert {value for operation, value in conditions if operation == "SCMP_CMP_EQ"} == denied
    assert conditions[-1] == ("SCMP_CMP_GE", 17 if network else 2)


def test_the_profile_denies_tracing_mounting_and_namespaces() -> None:
    rules = json.loads(profile.text(network=False))["syscalls"]
    always = {name for rule in rules if not rule["args"] for name in rule["names"]}
    assert {"ptrace", "mount", "unshare", "setns", "keyctl", "bpf", "clone3", "memfd_create"} <= always
    assert not {"kill", "chmod", "clone", "socket", "ioctl"} & always
