"""Writes a configuration file and reads it, or returns its problem lines."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from mcp_gateway.config import Config, load_config
from mcp_gateway.errors import BadConfig


def load(
    folder: Path, text: str, name: str = "gateway.yaml", *, environ: Mapping[str, str] | None = None, dotenv: str = ""
) -> Config:
    """Write `text` (and a `.env`, when given) into the folder and load it."""
    path = folder / name
    path.write_text(text, encoding="utf-8")
    if dotenv:
        (folder / ".env").write_text(dotenv, encoding="utf-8")
    return load_config(path, environ=environ or {})


def problems(
    folder: Path, text: str, name: str = "gateway.yaml", *, environ: Mapping[str, str] | None = None
) -> list[str]:
    """The lines of the refusal."""
    with pytest.raises(BadConfig) as refusal:
        load(folder, text, name, environ=environ)
    return refusal.value.message.split("\n")
