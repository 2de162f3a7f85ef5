"""The schema that editors read accepts what the loader accepts."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # ships no types
import pytest
import yaml
from mcp_gateway.config import json_schema
from mcp_gateway.config.schema import FILE, shipped_text

from tests.config.test_hosts import CLAUDE, COPILOT, GEMINI, OPENCODE, ORIGINAL

ROOT = Path(__file__).parents[2]
EXAMPLES = [ROOT / "gateway.yaml", *sorted((ROOT / "docs" / "examples").glob("*/*.yaml"))]


def errors(document: Any) -> list[str]:
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return [error.message for error in jsonschema.Draft202012Validator(schema).iter_errors(document)]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.parent.name)
def test_the_example_files_are_valid(path: Path) -> None:
    document = yaml.safe_load(path.read_text())

    assert errors(json.loads(json.dumps(document, default=str))) == []


@pytest.mark.parametrize("text", [CLAUDE, COPILOT, GEMINI, OPENCODE])
def test_files_of_hosts_are_valid(text: str) -> None:
    """Except for the few root keys that mean something else to their host."""
    document = {key: value for key, value in json.loads(text).items() if key not in ("security", "server", "tools")}

    assert errors(document) == []


def test_the_list_form_and_codex_are_valid() -> None:
    assert errors(yaml.safe_load(ORIGINAL)) == []
    assert errors(tomllib.loads((ROOT / "docs/examples/codex/config.toml").read_text())) == []


def test_references_may_stand_for_numbers_and_switches() -> None:
    assert errors({"server": {"port": "${PORT}"}, "mcpServers": {"a": {"command": "x", "lazy": "${LAZY}"}}}) == []


@pytest.mark.parametrize(
    "document",
    [
        {"sever": {}},
        {"server": {"prot": 1}},
        {"server": {"port": "eighty"}},
        {"mcpServers": {"a": {"comand": "x"}}},
        {"mcpServers": {"a": {"command": "x", "era": "old"}}},
        {"mcp_servers": [{"command": "x"}]},
    ],
)
def test_slips_are_shown(document: dict[str, Any]) -> None:
    assert len(errors(document)) == 1


def test_every_setting_is_explained() -> None:
    """By itself, or by the group that it refers to."""
    schema = json_schema()
    groups = [schema, *schema["$defs"].values()]
    unexplained = [
        name
        for group in groups
        for name, setting in group.get("properties", {}).items()
        if not setting.keys() & {"description", "$ref"} and name != "$schema"
    ]

    assert unexplained == []


def test_the_shipped_schema_is_that_of_the_models() -> None:
    assert FILE.read_text(encoding="utf-8") == shipped_text(), "scripts/format writes it anew"
