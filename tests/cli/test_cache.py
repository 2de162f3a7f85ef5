"""`cache stats` and `cache clear`, against a gateway that keeps answers."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.command import run
from tests.gateway import Gateway

SERVER = Path(__file__).parents[1] / "fakes" / "everything.py"


@pytest.fixture
def keeping(tmp_path: Path) -> Iterator[Path]:
    """The folder of a gateway that serves and keeps the answers of `echo`."""
    entry = {"command": sys.executable, "args": [str(SERVER)], "cache": {"tools": ["echo"], "ttl": 60}}
    with Gateway(tmp_path, {"mcpServers": {"up": entry}}) as running:
        running.wait_for_servers()
        yield tmp_path


def stats(folder: Path) -> dict[str, Any]:
    done = run(folder, "cache", "stats", "--json")
    assert done.status == 0, done.err
    body: dict[str, Any] = json.loads(done.out)
    return body


def call(folder: Path, text: str) -> None:
    assert run(folder, "call", "up__echo", f"text={text}").status == 0


def test_a_repeated_call_is_a_hit_and_clearing_forgets_it(keeping: Path) -> None:
    call(keeping, "a")
    call(keeping, "a")
    before = stats(keeping)
    cleared = run(keeping, "cache", "clear", "--server", "up")
    after = stats(keeping)

    assert (before["entries"], before["hits"], before["misses"]) == (1, 1, 1)
    assert set(before["tiers"]) == {"memory", "disk"}
    assert cleared.out.startswith("1 entries removed"), cleared.err
    assert after["entries"] == 0


def test_what_is_young_stays_when_only_old_answers_are_cleared(keeping: Path) -> None:
    call(keeping, "a")
    assert run(keeping, "cache", "clear", "--older-than", "3600").status == 0
    assert stats(keeping)["entries"] == 1


def test_stats_are_told_in_words(keeping: Path) -> None:
    assert "no look-ups yet" in run(keeping, "cache", "stats").out


def test_an_unknown_server_is_no_such_name(keeping: Path) -> None:
    done = run(keeping, "cache", "clear", "--server", "nobody")
    assert done.status == 66
    assert "Unknown server: nobody" in done.err


@pytest.mark.parametrize("command", ["stats", "clear"])
def test_without_a_running_gateway_there_is_nothing_to_show(tmp_path: Path, command: str) -> None:
    (tmp_path / "gateway.yaml").write_text("mcpServers: {}\n")
    assert run(tmp_path, "cache", command).status == 69
