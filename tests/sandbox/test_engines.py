"""Finding a container engine: what is said when it, or its image, is not there; and what it has to clean up."""

from __future__ import annotations

import os
import secrets
import subprocess
from dataclasses import replace
from pathlib import Path

import anyio
import pytest
from mcp_gateway.errors import BadConfig, InvalidParams
from mcp_gateway.sandbox import Attempt, Backend, Container, Engine, Limits, Request, Sandbox, SandboxFailed
from mcp_gateway.sandbox.engines import find

from tests.setup import container

NO_SUCH = "sha256:" + "0" * 64


def refusal(wanted: Container | None) -> Attempt:
    found = find(wanted)
    assert isinstance(found, Attempt)
    return found


def fake(folder: Path, script: str) -> str:
    path = folder / "engine"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def test_without_an_image_it_is_said_what_to_write() -> None:
    assert "tools.execute.container.image" in refusal(None).fix


def test_an_image_that_is_not_pinned_is_a_mistake_in_the_configuration() -> None:
    with pytest.raises(BadConfig, match="'alpine:3' is not pinned; write name@sha256:"):
        find(Container("alpine:3"))


def test_an_engine_that_is_not_installed_is_named() -> None:
    assert refusal(Container(NO_SUCH, "/no/such/engine")).reason == "not installed: /no/such/engine"


def test_an_engine_that_fails_is_quoted(tmp_path: Path) -> None:
    path = fake(tmp_path, "echo first >&2; echo last >&2; exit 3")
    assert refusal(Container(NO_SUCH, path)).reason == f"{path} does not answer: last"


def test_an_image_that_is_not_here_is_named_with_what_gets_it() -> None:
    own = container()
    refused = refusal(Container(NO_SUCH, own.engine))
    assert refused.reason.startswith("no such image here: ")
    assert refused.fix.endswith(f"pull {NO_SUCH}")


def test_an_engine_is_given_its_own_variables_and_no_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///x")
    monkeypatch.setenv("CANARY", "bird")
    found = find(Container(NO_SUCH, fake(tmp_path, "env >&2; echo Docker version 20")))
    assert isinstance(found, Engine)
    assert found.env["DOCKER_HOST"] == "unix:///x"
    assert found.env.keys() <= {"PATH", "HOME", "XDG_RUNTIME_DIR", "DOCKER_HOST"}
    assert not found.is_podman


def test_a_container_whose_supervisor_is_gone_is_removed() -> None:
    own = container("busybox")
    gone = subprocess.Popen(["true"])
    gone.wait()
    name = f"mcp-gateway-sandbox-{gone.pid}-0"
    subprocess.run([own.engine, "create", "--name", name, own.image, "true"], check=True, capture_output=True)
    assert isinstance(find(own), Engine)
    assert name not in subprocess.run([own.engine, "ps", "-a"], capture_output=True, text=True, check=True).stdout


async def test_a_run_leaves_no_container_behind() -> None:
    mark = f"test={secrets.token_hex(8)}"
    engine = find(replace(container("busybox"), options=(f"--label={mark}",)))
    assert isinstance(engine, Engine)
    sandbox = Sandbox(Backend.CONTAINER, engine=engine)
    ended = await sandbox.run(Request(("sh", "-c", "exit 125")))
    killed = await sandbox.run(Request(("sleep", "9")), Limits(wall_s=0.1))
    listing = [engine.path, "ps", "--all", "--noheading", "--filter", f"label={mark}"]
    assert (ended.exit_code, killed.killed_by) == (125, "wall")
    assert (await anyio.run_process(listing)).stdout == b""


async def test_a_run_out_of_memory_is_said_to_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine's notes on it stay out of our working folder."""
    monkeypatch.chdir(tmp_path)
    engine = find(container())
    assert isinstance(engine, Engine)
    request = Request(("/usr/bin/python3", "-c", f"x = b'x' * {200 << 20}"))
    outcome = await Sandbox(Backend.CONTAINER, engine=engine).run(request, Limits(memory_bytes=64 << 20))
    assert (outcome.exit_code, outcome.killed_by) == (137, "memory")
    assert os.listdir(tmp_path) == []


async def test_the_environment_is_in_a_file_that_is_gone_afterwards(tmp_path: Path) -> None:
    log = tmp_path / "log"
    script = f"""
case $1 in
run) while [ "$1" != --env-file ]; do shift; done; (echo "$2"; ls -l "$2"; cat "$2") >{log}; exit 125 ;;
*) echo Docker ;;
esac"""
    engine = find(Container(NO_SUCH, fake(tmp_path, script)))
    assert isinstance(engine, Engine)
    with pytest.raises(SandboxFailed, match="the container engine failed"):
        await Sandbox(Backend.CONTAINER, engine=engine).run(Request(("true",), env={"TOKEN": "kept"}))
    path, mode, *lines = log.read_text().splitlines()
    assert mode.startswith("-rw-------")
    assert "TOKEN=kept" in lines
    assert not Path(path).parent.exists()


async def test_a_folder_that_no_mount_can_name_is_refused(tmp_path: Path) -> None:
    own = container()
    folder = tmp_path / "a,b"
    folder.mkdir()
    engine = find(own)
    assert isinstance(engine, Engine)
    with pytest.raises(InvalidParams, match="a comma"):
        await Sandbox(Backend.CONTAINER, engine=engine).run(Request(("true",), workdir=str(folder)))
