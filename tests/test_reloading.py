"""A file that has changed is in force as a whole, or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Never

import pytest
from mcp_gateway.config import Config, load_config
from mcp_gateway.errors import BadConfig
from mcp_gateway.reloading import Part, Reloading, part

from tests.gateway import write_config


class Ear:
    """A part that takes the prefix, and may be deaf to one."""

    def __init__(self, deaf_to: str = "") -> None:
        self.heard = ["always"]
        self._deaf_to = deaf_to

    @property
    def part(self) -> Part:
        return part(lambda config: config.expose.prefix, self._hear)

    def _hear(self, prefix: str) -> None:
        if prefix == self._deaf_to:
            raise RuntimeError("deaf")
        self.heard.append(prefix)


def refusing(config: Config) -> Never:
    raise BadConfig("not with me")


def write(folder: Path, prefix: str) -> Path:
    return write_config(folder, {"mcpServers": {}, "expose": {"prefix": prefix}})


def begin(folder: Path, *parts: Part) -> Reloading:
    config = load_config(write(folder, "always"), environ={})
    return Reloading(config, {}, lambda: parts)


def test_every_part_takes_its_share(tmp_path: Path) -> None:
    first, second = Ear(), Ear()
    reloading = begin(tmp_path, first.part, second.part)
    write(tmp_path, "never")

    assert reloading.reload()
    assert (first.heard[-1], second.heard[-1], reloading.config.expose.prefix) == ("never", "never", "never")


def test_a_part_that_refuses_keeps_every_part_from_changing(tmp_path: Path) -> None:
    ear = Ear()
    reloading = begin(tmp_path, ear.part, refusing)
    write(tmp_path, "never")

    assert not reloading.reload()
    assert (ear.heard, reloading.error) == (["always"], "not with me")
    assert reloading.config.expose.prefix == "always"


def test_a_fault_while_it_is_put_in_force_brings_back_what_was(tmp_path: Path) -> None:
    first, faulty, last = Ear(), Ear(deaf_to="never"), Ear()
    reloading = begin(tmp_path, first.part, faulty.part, last.part)
    write(tmp_path, "never")

    assert not reloading.reload()
    assert (first.heard[-1], faulty.heard[-1], last.heard[-1]) == ("always", "always", "always")
    assert "never" not in last.heard
    assert reloading.config.expose.prefix == "always"
    assert reloading.status()["error"] == "putting it in force failed (RuntimeError); the log has more"


def test_a_part_that_cannot_go_back_keeps_no_other_from_it(tmp_path: Path) -> None:
    first, last = Ear(), Ear()
    broken = Ear(deaf_to="always")
    faulty = Ear(deaf_to="never")
    reloading = begin(tmp_path, first.part, broken.part, faulty.part, last.part)
    write(tmp_path, "never")

    assert not reloading.reload()
    assert (first.heard[-1], last.heard[-1]) == ("always", "always")


def test_a_later_file_is_read_after_a_fault(tmp_path: Path) -> None:
    ear = Ear(deaf_to="never")
    reloading = begin(tmp_path, ear.part)
    write(tmp_path, "never")
    assert not reloading.reload()
    write(tmp_path, "collision")

    assert reloading.asked_for() == []
    assert (ear.heard[-1], reloading.error) == ("collision", None)


def test_whoever_asks_for_it_is_told_what_is_wrong(tmp_path: Path) -> None:
    reloading = begin(tmp_path, refusing)

    with pytest.raises(BadConfig, match="not with me"):
        reloading.asked_for()
