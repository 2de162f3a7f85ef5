"""A stdio upstream in a sandbox: it works, and reaches no more than its entry says (R-CHILD-1)."""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from mcp_gateway.errors import UpstreamStartFailed
from mcp_gateway.sandbox import Backend, Engine, Sandbox, Unavailable, select
from mcp_gateway.sandbox.engines import find
from mcp_gateway.upstream.dispatch.base import Dispatcher
from mcp_gateway.upstream.session import Era, Link, handshake
from mcp_gateway.upstream.wall import WalledDispatcher, Walls, installation
from mcp_gateway.wire import loads

from tests.setup import container
from tests.support import require

SERVER = Path(__file__).parents[1] / "fakes" / "prying_server.py"
MOODY = SERVER.with_name("moody_server.py")
TOKEN = "a-token-of-the-child"


@pytest.fixture(scope="module")
async def sandbox(anyio_backend: str) -> Sandbox:
    found = await select("auto")
    require(isinstance(found, Sandbox), "no sandbox works here: apt-get install bubblewrap")
    assert isinstance(found, Sandbox)
    return found


@pytest.fixture
def listening() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@asynccontextmanager
async def walled(
    sandbox: Sandbox,
    walls: Walls,
    program: Path = SERVER,
    interpreter: str = sys.executable,
    arguments: Sequence[str] = (),
) -> AsyncIterator[Link]:
    """The prying server behind walls; its source is readable because it is named."""

    async def choose() -> Sandbox:
        return sandbox

    dispatcher: Dispatcher = WalledDispatcher(
        "prying",
        [interpreter, str(program), *arguments],
        walls=walls,
        choose=choose,
        env={"PATH": os.environ["PATH"], "TOKEN": TOKEN},
        cwd=None,
        listener=lambda method, params: None,
    )
    async with dispatcher:
        yield Link(dispatcher, await handshake(dispatcher, Era.AUTO, {}))


async def pried(link: Link, **wanted: Any) -> dict[str, Any]:
    result = loads(await link.request("tools/call", {"name": "pry", "arguments": wanted}))
    seen: dict[str, Any] = json.loads(result["content"][0]["text"])
    return seen


async def test_r_child_1_a_walled_child_reads_only_what_its_entry_names(sandbox: Sandbox, tmp_path: Path) -> None:
    named, secret = tmp_path / "named", tmp_path / "secret"
    named.write_text("x")
    secret.write_text("x")
    async with walled(sandbox, Walls(read=(str(SERVER), str(named)))) as link:
        seen = await pried(link, read=[str(named), str(secret), "/etc/shadow", f"/proc/{os.getpid()}/environ"])
    assert seen["reads"] == [str(named)]


async def test_r_child_1_a_walled_child_changes_only_its_workdir(sandbox: Sandbox, tmp_path: Path) -> None:
    own, other = tmp_path / "own", tmp_path / "other"
    own.mkdir()
    other.mkdir()
    wanted = [str(own / "file"), str(other / "file"), "/usr/file"]
    async with walled(sandbox, Walls(read=(str(SERVER),), workdir=str(own))) as link:
        seen = await pried(link, write=wanted)
    assert seen["writes"] == [str(own / "file")]
    assert (own / "file").read_text() == "x"


async def test_a_walled_child_has_the_environment_of_its_entry(sandbox: Sandbox) -> None:
    async with walled(sandbox, Walls(read=(str(SERVER),))) as link:
        seen = await pried(link)
    assert seen["token"] == TOKEN


@pytest.mark.parametrize("network", [True, False])
async def test_a_walled_child_has_the_network_only_where_its_entry_says_so(
    sandbox: Sandbox, listening: int, network: bool
) -> None:
    async with walled(sandbox, Walls(read=(str(SERVER),), network=network)) as link:
        seen = await pried(link, connect=[listening])
    assert bool(seen["connects"]) is network


async def test_a_child_does_not_start_without_a_sandbox() -> None:
    async def choose() -> Unavailable:
        return Unavailable(())

    dispatcher = WalledDispatcher(
        "up", ["true"], walls=Walls(), choose=choose, env={}, cwd=None, listener=lambda method, params: None
    )
    with pytest.raises(UpstreamStartFailed, match="'up' asks for a sandbox: no sandbox works here"):
        await dispatcher.__aenter__()


async def test_a_path_that_is_not_there_is_told(sandbox: Sandbox, tmp_path: Path) -> None:
    with pytest.raises(UpstreamStartFailed, match="paths for a sandbox must be absolute, exist"):
        async with walled(sandbox, Walls(read=(str(tmp_path / "gone"),))):
            pytest.fail("it started")


def test_a_programs_own_installation_is_found(tmp_path: Path) -> None:
    base, venv = tmp_path / "python", tmp_path / "venv"
    for folder in (base, venv):
        (folder / "bin").mkdir(parents=True)
    (base / "bin" / "python3").write_text("")
    (venv / "bin" / "python").symlink_to(base / "bin" / "python3")
    (venv / "pyvenv.cfg").write_text(f"home = {base / 'bin'}\n")
    (venv / "bin" / "tool").write_text("")
    assert set(installation(venv / "bin" / "tool")) == {str(venv), str(base)}
    assert set(installation(venv / "bin" / "python")) == {str(venv), str(base)}


def test_what_the_system_shows_anyway_is_not_named() -> None:
    assert list(installation(Path("/usr/bin/true"))) == []


async def test_a_child_in_a_container_is_a_program_of_the_image(tmp_path: Path) -> None:
    engine = find(container())
    assert isinstance(engine, Engine)
    folder = tmp_path / "moody"
    folder.mkdir()
    (folder / "mood").write_text("")
    walls = Walls(network=False, read=(str(MOODY),), workdir=str(folder))
    async with walled(
        Sandbox(Backend.CONTAINER, engine=engine), walls, MOODY, interpreter="python3", arguments=[str(folder)]
    ) as link:
        tools = loads(await link.request("tools/list", {}))["tools"]
    assert tools
    assert (folder / "starts").read_text() == "2\n", "the second process of a container"
