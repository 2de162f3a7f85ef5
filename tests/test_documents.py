"""The documents tell the truth where a program can check it."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from mcp_gateway.config import load_config
from mcp_gateway.errors import CODES

ROOT = Path(__file__).parent.parent
MAX_README_LINES = 220
"""Longer ones are not read (our choice)."""

TRACKED = [
    ROOT / name
    for name in subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    if (ROOT / name).is_file()
]
DOCUMENTS = [path for path in TRACKED if path.suffix == ".md"]

LINK = re.compile(r"\[[^\]]*\]\((?!https?:|mailto:|#)([^)#\s]+)(?:#[^)\s]*)?\)")
FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\w+)\n(?P<text>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL)
SERVERS = re.compile(r"^\s*[\"{\[ ]*\"?(mcpServers|mcp_servers)\b", re.MULTILINE)
SUFFIXES = {"yaml": ".yaml", "json": ".json", "jsonc": ".json", "toml": ".toml"}

# Spelt in pieces, so that this file does not hold what it looks for.
FOREIGN = re.compile(
    "|".join(
        [
            "/wo" + "rk/",
            "/opt/" + "gw",
            "/root/" + r"\.",
            "python" + r"hosted\.org",
            "pypi" + r"\.org",
            "registry" + r"\.npmjs",
            "deb" + r"\.debian",
        ]
    )
)


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def configurations() -> list[tuple[str, str, str]]:
    """(where, suffix, text) of every fenced block that shows a configuration of servers."""
    return [
        (f"{name(document)}:{text.count(chr(10), 0, block.start()) + 1}", SUFFIXES[block["language"]], block["text"])
        for document in DOCUMENTS
        for text in [document.read_text(encoding="utf-8")]
        for block in FENCE.finditer(text)
        if block["language"] in SUFFIXES and SERVERS.search(block["text"])
    ]


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_links_inside_the_repository_resolve(document: Path) -> None:
    targets = LINK.findall(document.read_text(encoding="utf-8"))

    assert [target for target in targets if not (document.parent / target).exists()] == []


def test_the_readme_is_short_enough_to_be_read() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= MAX_README_LINES


@pytest.mark.parametrize(
    ("where", "suffix", "text"), configurations(), ids=lambda value: value if ":" in value[:60] else ""
)
def test_a_configuration_in_a_document_loads(where: str, suffix: str, text: str, tmp_path: Path) -> None:
    path = tmp_path / f"gateway{suffix}"
    path.write_text(text, encoding="utf-8")

    config = load_config(path, environ={"HOME": str(tmp_path)})

    assert len(config.servers) > 0, where


def test_every_error_code_has_a_page_and_every_page_a_code() -> None:
    pages = {page.stem for page in (ROOT / "docs" / "errors").glob("*.md")} - {"README"}

    assert pages == CODES.keys()


@pytest.mark.parametrize("code", CODES)
def test_an_error_page_says_what_why_and_what_to_do(code: str) -> None:
    page = (ROOT / "docs" / "errors" / f"{code}.md").read_text(encoding="utf-8")

    assert re.findall(r"^#+ .*$", page, re.MULTILINE) == [f"# {code}", "## What happened", "## Why", "## What to do"]


def test_the_table_of_errors_is_that_of_the_code() -> None:
    table = (ROOT / "docs" / "errors" / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| \[(\w+)\]\(\1\.md\) \| (-\d+) \| (\d+) \| (\d+) \|$", table, re.MULTILINE)

    assert rows == [(code, str(of.rpc), str(of.http), str(of.exit)) for code, of in CODES.items()]


def test_no_file_names_a_registry_or_a_path_of_one_machine() -> None:
    found = []
    for path in TRACKED:
        text = path.read_bytes().decode("utf-8", "replace")
        found += [f"{name(path)}: {match[0]}" for match in FOREIGN.finditer(text)]

    assert found == []
