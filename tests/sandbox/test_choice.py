"""The sandbox of `execute` is chosen once, in the background, and remembered."""

from __future__ import annotations

import json
from pathlib import Path

import anyio
import pytest
from mcp_gateway.sandbox import Container, Sandbox, Unavailable
from mcp_gateway.sandbox.choice import SandboxChoice

UNKNOWN = "unsafe-none"
"""A runner that the configuration knows and this version has not."""


async def decided(choice: SandboxChoice) -> SandboxChoice:
    choice.want()
    await choice.run()
    return choice


async def test_nothing_is_chosen_before_somebody_wants_it() -> None:
    choice = SandboxChoice(UNKNOWN)
    with anyio.move_on_after(0.05) as waiting:
        await choice.run()

    assert waiting.cancelled_caught
    assert not choice.works


async def test_asking_for_the_verdict_wants_it_and_waits() -> None:
    choice = SandboxChoice(UNKNOWN)
    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(choice.run)
            verdict = await choice.verdict()

    assert verdict == (
        "this version has no runner 'unsafe-none'; set tools.execute.runner to one of auto, bwrap, landlock, container"
    )


async def test_the_verdict_is_remembered_for_the_next_start(tmp_path: Path) -> None:
    memory = tmp_path / "state" / "sandbox.json"
    await decided(SandboxChoice(UNKNOWN, memory=memory))

    assert list(json.loads(memory.read_bytes()).values()) == [False]
    assert list(memory.parent.iterdir()) == [memory]


async def test_a_remembered_verdict_counts_until_this_start_has_its_own(tmp_path: Path) -> None:
    memory = tmp_path / "sandbox.json"
    await decided(SandboxChoice(UNKNOWN, memory=memory))
    key = next(iter(json.loads(memory.read_bytes())))
    memory.write_text(json.dumps({key: True}))
    changes: list[bool] = []
    choice = SandboxChoice(UNKNOWN, memory=memory, on_change=lambda: changes.append(choice.works))
    choice.want()

    assert choice.works
    assert not choice.is_guessed
    await choice.run()
    assert changes == [False]


async def test_the_verdict_on_another_runner_is_not_believed(tmp_path: Path) -> None:
    memory = tmp_path / "sandbox.json"
    await decided(SandboxChoice(UNKNOWN, memory=memory))
    choice = SandboxChoice("auto", memory=memory)
    choice.want()

    assert choice.is_guessed


@pytest.mark.parametrize("content", [b"", b"[1]", b"\xff", b'{"x": 1}'])
def test_a_damaged_memory_is_none(tmp_path: Path, content: bytes) -> None:
    memory = tmp_path / "sandbox.json"
    memory.write_bytes(content)
    choice = SandboxChoice(memory=memory)
    choice.want()

    assert choice.is_guessed


async def test_a_memory_that_cannot_be_written_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    choice = await decided(SandboxChoice(UNKNOWN, memory=tmp_path / "file" / "sandbox.json"))

    assert not choice.works


async def test_a_listing_waits_only_while_nothing_is_known() -> None:
    choice = SandboxChoice(UNKNOWN)
    await choice.settled()
    choice.want()
    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(choice.settled)
            await choice.run()

    assert not choice.is_guessed


async def test_a_container_without_an_image_tells_what_to_write() -> None:
    choice = await decided(SandboxChoice("container"))
    verdict = await choice.verdict()

    assert isinstance(verdict, Unavailable)
    assert "write tools.execute.container.image" in verdict.report


async def test_the_verdict_on_another_image_is_not_believed(tmp_path: Path) -> None:
    memory = tmp_path / "sandbox.json"
    await decided(SandboxChoice("container", memory=memory))
    other = SandboxChoice("container", memory=memory, container=Container("sha256:" + "0" * 64))
    other.want()

    assert other.is_guessed


async def test_the_sandbox_of_this_machine_is_chosen() -> None:
    choice = await decided(SandboxChoice())
    assert isinstance(await choice.verdict(), Sandbox)
