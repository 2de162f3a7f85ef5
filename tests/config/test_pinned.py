"""Servers that are fetched without a version: a note, or left out where the file asks for pinned ones."""

from __future__ import annotations

from pathlib import Path

import pytest
from mcp_gateway.config import Config, load_config

SERVERS = """
mcpServers:
  loose: {command: npx, args: [-y, some-server]}
  exact: {command: npx, args: [-y, some-server@1.2.3]}
  off: {command: npx, args: [-y, some-server], disabled: true}
  unset: {command: npx, args: [-y, "${NOT_SET}"]}
  local: {command: mcp-server-time}
  far: {url: "https://example.invalid/mcp"}
"""
ADVICE = "npx fetches whatever version is newest; write an exact version: some-server@1.2.3"


def loaded(folder: Path, text: str) -> Config:
    path = folder / "gateway.yaml"
    path.write_text(text)
    return load_config(path, environ={})


def test_a_server_that_is_not_pinned_is_told_of(tmp_path: Path) -> None:
    config = loaded(tmp_path, SERVERS)

    assert config.notes == (f"gateway.yaml:3:3: mcpServers.loose: {ADVICE}",)
    assert config.skipped.keys() == {"unset"}


def test_where_the_file_asks_for_pinned_servers_the_others_are_left_out(tmp_path: Path) -> None:
    config = loaded(tmp_path, SERVERS + "security: {require_pinned: true}\n")

    assert config.notes == ()
    assert config.skipped.keys() == {"loose", "unset"}
    assert config.skipped["loose"] == f"gateway.yaml:3:3: mcpServers.loose: security.require_pinned: {ADVICE}"


@pytest.mark.parametrize("required", ["true", "false"])
def test_what_a_reference_brought_is_judged_too(tmp_path: Path, required: str) -> None:
    """A version may come from the environment."""
    (tmp_path / ".env").write_text("SPEC=some-server@1.2.3\n")
    entry = 'mcpServers: {a: {command: npx, args: ["${SPEC}"]}}'
    config = loaded(tmp_path, f"{entry}\nsecurity: {{require_pinned: {required}}}\n")

    assert (config.notes, dict(config.skipped)) == ((), {})
