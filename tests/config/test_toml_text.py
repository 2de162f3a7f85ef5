"""TOML, with places."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.config.files import load, problems


def test_numbers_keep_their_source_text(tmp_path: Path) -> None:
    text = '[mcp_servers.a]\ncommand = "x"\nargs = ["-p", 8080]\nenv = { VERSION = 3.10, FLAG = true }\n'
    server = load(tmp_path, text, "a.toml").servers["a"].model_dump()

    assert server["args"] == ("-p", "8080")
    assert {name: secret.get_secret_value() for name, secret in server["env"].items()} == {
        "VERSION": "3.10",
        "FLAG": "true",
    }


GOLDEN = {
    "a key in a table": (
        '[server]\nhost = "x"\n  prot = 1\n',
        "a.toml:3:3: server.prot: unknown key, did you mean 'port'?",
    ),
    "a dotted key": ("server.prot = 1\n", "a.toml:1:1: server.prot: unknown key"),
    "a quoted name": ('[mcpServers."a b"]\ncommand = "x"\nlayz = 1\n', "a.toml:3:1: mcpServers.a b.layz: unknown key"),
    "an array of tables": (
        '[[mcp_servers]]\nname = "a"\ncommand = "x"\n[[mcp_servers]]\nname = "b"\ncommand = "x"\nlayz = 1\n',
        "a.toml:7:1: mcp_servers[1].layz: unknown key",
    ),
    "an inline table": (
        '[mcpServers]\na = { command = "x", layz = 1 }\n',
        "a.toml:2:1: mcpServers.a.layz: unknown key",
    ),
    "a duplicate": ("[server]\nport = 1\nport = 2\n", "a.toml:3:9: not TOML: Cannot overwrite a value"),
    "broken": ("[server\n", "a.toml:1:8: not TOML: "),
    "the end": ('a = "', "a.toml:1:1: not TOML: "),
    "nothing": ("# nothing\n", "a.toml:1:1: the file is empty"),
    "a long number": ("a = " + "1" * 5000, "a.toml:1:1: not TOML: a value is too deep or too long"),
    "depth": ("a = " + "[" * 90 + "]" * 90, "a.toml:1:1: nested deeper than 64 levels"),
    "great depth": ("a = " + "[" * 9000, "a.toml:1:"),
}


@pytest.mark.parametrize("case", GOLDEN)
def test_what_is_wrong_is_placed(tmp_path: Path, case: str) -> None:
    text, line = GOLDEN[case]

    assert problems(tmp_path, text, "a.toml")[0].startswith(line)
