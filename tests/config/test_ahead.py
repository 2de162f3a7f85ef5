"""Settings that this version does not act on: refused where that would weaken protection, else told."""

from __future__ import annotations

from pathlib import Path

import pytest
from mcp_gateway.config import Config, ahead, load_config

SHEET = """
version: 1
mcpServers: {a: {command: a}}
auth: {required: auto, keys: []}
expose: {mode: auto, max_tools: 40}
cache: {ttl: 300}
limits: {rate: off}
"""


def loaded(folder: Path, text: str) -> Config:
    path = folder / "gateway.yaml"
    path.write_text(text)
    return load_config(path, environ={})


def test_a_file_of_defaults_is_neither_refused_nor_remarked_on(tmp_path: Path) -> None:
    config = loaded(tmp_path, SHEET)
    assert (ahead.refusals(config), ahead.told(config)) == ((), ())


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("tools: {execute: {runner: unsafe-none}}", "tools.execute.runner: unsafe-none"),
        ("cluster: {redis: 'redis://127.0.0.1'}", "cluster"),
    ],
)
def test_protection_that_is_not_there_is_refused(tmp_path: Path, text: str, path: str) -> None:
    refused = ahead.refusals(loaded(tmp_path, text))
    assert refused == (f"gateway.yaml: {path}: not in this version of the gateway; leave it out",)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("cache: {backend: redis}", "cache.backend: redis"),
    ],
)
def test_what_only_has_no_effect_is_told(tmp_path: Path, text: str, path: str) -> None:
    assert ahead.notes(loaded(tmp_path, text)) == (f"gateway.yaml: {path}: read, but without effect in this version",)
