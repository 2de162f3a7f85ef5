"""The manual speaks of every setting, and its examples load."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from mcp_gateway.config import HttpServer, StdioServer, ahead, load_config
from mcp_gateway.config.hosts import FLAGS, REFERENCES, RENAMED, TOOL_LISTS, TYPES
from mcp_gateway.config.messages import models
from mcp_gateway.config.model import Settings
from mcp_gateway.config.section import Section
from mcp_gateway.config.servers import KINDS

ROOT = Path(__file__).parents[2]
MANUAL = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
EXAMPLES = sorted(
    path for path in (ROOT / "docs" / "examples").glob("*/*") if path.suffix in {".yaml", ".json", ".toml"}
)


def settings_of(model: type[Section], path: str) -> list[str]:
    """Every path that the manual's tables must have a row for."""
    found = []
    for name, field in model.model_fields.items():
        inner = models(field.annotation)
        many = next(
            (mark for word, mark in (("dict[", ".NAME"), ("tuple[", "[]")) if word in str(field.annotation)), ""
        )
        found += [setting for each in inner for setting in settings_of(each, f"{path}{name}{many}.")]
        if not inner:
            found.append(path + name)
    return found


def test_the_manual_has_a_row_for_every_setting() -> None:
    rows = set(re.findall(r"^\| `([^`]+)` \|", MANUAL, re.MULTILINE))
    wanted = {*settings_of(Settings, ""), *settings_of(StdioServer, ""), *settings_of(HttpServer, "")} - {
        "name",
        "type",
    }

    assert sorted(wanted - rows) == []


def test_the_manual_has_no_row_for_what_is_gone() -> None:
    rows = set(re.findall(r"^\| `([a-z_.\[\]A-Z]+)` \| (?!.*here)", MANUAL, re.MULTILINE))
    known = {name for model in (Settings, *KINDS.values()) for name in settings_of(model, "")}
    spellings = {*RENAMED, *TOOL_LISTS, *FLAGS, *REFERENCES}
    gone = {
        row for row in rows - known - spellings if not any(name.startswith((f"{row}.", f"{row}[")) for name in known)
    }

    assert gone == set()


def test_the_manual_tells_what_this_version_does_not_act_on() -> None:
    section = MANUAL.partition("## Not in this version\n")[2].partition("\n## ")[0]
    not_yet = [path for path, _ in ahead.REFUSED]

    assert [path for path in not_yet if f"`{path}" not in section] == []


def test_the_manual_names_every_spelling_of_hosts() -> None:
    words = set(re.findall(r"[\w-]+", MANUAL))

    assert sorted({*RENAMED, *TOOL_LISTS, *TYPES, *FLAGS, *REFERENCES} - words) == []


def test_there_are_examples() -> None:
    assert [path.parent.name for path in EXAMPLES] == ["codex", "list", "minimal", "pasted", "team"]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.parent.name)
def test_the_examples_load(path: Path) -> None:
    assert load_config(path, environ={"HOME": "/home/me"}).servers


def test_the_shipped_file_needs_no_key() -> None:
    config = load_config(ROOT / "gateway.yaml", environ={})

    assert list(config.servers) == ["time"]
    assert (config.skipped, config.notes) == ({}, ())


def test_the_original_form_finds_its_model_in_dotenv() -> None:
    config = load_config(ROOT / "docs/examples/list/gateway.yaml", environ={})

    assert config.llm.api_key is not None
    assert config.llm.base_url == "https://api.example.com/v1"


def test_yaml_blocks_of_the_manual_load(tmp_path: Path) -> None:
    for block in re.findall(r"```yaml\n(.*?)```", MANUAL, re.DOTALL):
        (tmp_path / "gateway.yaml").write_text(block)
        assert load_config(tmp_path / "gateway.yaml", environ={}).servers
