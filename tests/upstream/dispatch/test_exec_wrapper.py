"""What a program finds around it once the wrapper has become it."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from mcp_gateway.upstream.dispatch.stdio import StdioDispatcher

from tests.upstream.dispatch.pipes import ask, child, unheard, until

ENV = {"PATH": os.defpath}


async def test_a_child_leads_a_session_of_its_own_in_its_folder(tmp_path: Path) -> None:
    async with child(cwd=str(tmp_path)) as dispatcher:
        found = await ask(dispatcher, "surroundings")
        assert found["pid"] == found["group"] == found["session"] == dispatcher.pid
        assert found["cwd"] == str(tmp_path)


async def test_a_child_gets_its_environment_and_nothing_else() -> None:
    async with StdioDispatcher(
        "x", ["/bin/sh", "-c", "env >&2; exec cat"], env={"PATH": os.defpath, "A": "é"}, listener=unheard
    ) as dispatcher:
        await until(lambda: "A=é" in dispatcher.stderr_tail)
        names = {line.partition("=")[0] for line in dispatcher.stderr_tail.splitlines()}
        assert names - {"PWD", "OLDPWD", "SHLVL", "_"} == {"PATH", "A"}


async def test_a_child_inherits_no_descriptor_of_ours() -> None:
    read_fd, write_fd = os.pipe()
    os.set_inheritable(write_fd, True)
    try:
        async with child() as dispatcher:
            assert (await ask(dispatcher, "descriptors"))["open"] == [0, 1, 2, 3]  # 3 is the listing itself
    finally:
        os.close(read_fd)
        os.close(write_fd)


async def test_a_child_finds_its_signals_at_their_defaults() -> None:
    command = "grep SigIgn /proc/$$/status >&2; exec cat"
    async with StdioDispatcher("x", ["/bin/sh", "-c", command], env=ENV, listener=unheard) as dispatcher:
        await until(lambda: "SigIgn" in dispatcher.stderr_tail)
        ignored = int(dispatcher.stderr_tail.split()[1], 16)
        assert not ignored & (1 << (signal.SIGPIPE - 1))


async def test_a_child_can_open_its_standard_streams_by_name() -> None:
    command = "echo by name >/dev/stderr; exec cat"
    async with StdioDispatcher("x", ["/bin/sh", "-c", command], env=ENV, listener=unheard) as dispatcher:
        await until(lambda: dispatcher.stderr_tail == "by name\n")


@pytest.mark.parametrize("given", [{}, {"LC_CTYPE": "C.UTF-8"}])
async def test_a_locale_is_passed_on_only_when_it_was_given(given: dict[str, str]) -> None:
    async with child(env=given) as dispatcher:
        environment = (await ask(dispatcher, "surroundings"))["environment"]
    assert {name: environment[name] for name in given} == given
