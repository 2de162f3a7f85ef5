"""Files of hosts load as they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from tests.config.files import load, problems


def shown(value: Any) -> Any:
    """A model dump with its secrets in clear."""
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, dict):
        return {key: shown(inner) for key, inner in value.items()}
    return value


CLAUDE = '{"globalShortcut": "x", "mcpServers": {"a": {"command": "npx", "args": ["-y", "b"], "env": {"K": "v"}}}}'
VSCODE = """{
	"inputs": [{"type": "promptString", "id": "k"}],
	"servers": {"a": {"type": "http", "url": "https://h/mcp",
    "headers": {"A": "${env:K}"}, "gallery": true, "dev": {}}},
}"""
COPILOT = '{"mcpServers": {"a": {"type": "local", "command": "x", "tools": ["*"]}}}'
CLINE = """{"mcpServers": {"a": {"type": "streamableHttp", "url": "https://h", "disabled": true, "autoApprove": ["x"],
 "timeout": 60, "alwaysAllow": []}}}"""
GEMINI = """{"theme": "x", "security": {"auth": {"selectedType": "y"}}, "mcp": {"allowed": ["a"]}, "tools": {"z": 1},
 "mcpServers": {"a": {"httpUrl": "https://h/mcp", "timeout": 600000, "trust": true, "includeTools": ["x"],
 "excludeTools": ["y"], "oauth": {"enabled": true}}}}"""
ZED = '{"ui_font_size": 1, "context_servers": {"a": {"source": "custom", "command": "x", "args": [], "env": {}}}}'
CODEX = """
model = "m"
[mcp_servers.a]
url = "https://h/mcp"
bearer_token_env_var = "K"
http_headers = { X-One = "1" }
env_http_headers = { X-Two = "K" }
startup_timeout_sec = 20
tool_timeout_sec = 120.5
enabled_tools = ["x"]
disabled_tools = ["y"]
enabled = true
required = true
[mcp_servers.b]
command = "x"
env_vars = ["K", "UNSET"]
"""
OPENCODE = """{"$schema": "https://opencode.ai/config.json", "model": "m", "server": {"port": 1}, "mcp": {
 "a": {"type": "remote", "url": "https://h/mcp", "headers": {"A": "Bearer {env:K}"}, "enabled": true},
 "b": {"type": "local", "command": ["npx", "-y", 8080], "environment": {"A": "1"}}}}"""
CONTINUE = """
name: my assistant
version: 1.0.0
schema: v1
models: []
mcpServers:
  - name: a
    type: streamable-http
    url: https://h
"""
ORIGINAL = """
mcp_servers:
  - {name: server1, mode: sse, url: "http://localhost:8000", api_key: your_api_key}
  - {name: server2, mode: stdio, command: uvx, args: [mcp-server-time], api_key: ""}
"""

FILES: dict[str, tuple[str, str, dict[str, dict[str, Any]]]] = {
    "Claude Desktop": (
        "claude_desktop_config.json",
        CLAUDE,
        {"a": {"command": "npx", "args": ("-y", "b"), "env": {"K": "v"}}},
    ),
    "VS Code": ("mcp.json", VSCODE, {"a": {"type": "http", "headers": {"A": "key"}}}),
    "Copilot": ("mcp-config.json", COPILOT, {"a": {"type": "stdio"}}),
    "Cline": ("cline_mcp_settings.json", CLINE, {"a": {"type": "http", "disabled": True, "timeout": 60.0}}),
    "Gemini": ("settings.json", GEMINI, {"a": {"type": "http", "timeout": 600.0, "trust": "first-use"}}),
    "Zed": ("settings.json", ZED, {"a": {"command": "x"}}),
    "Codex": (
        "config.toml",
        CODEX,
        {
            "a": {
                "headers": {"X-One": "1", "Authorization": "Bearer key", "X-Two": "key"},
                "startup_timeout": 20.0,
                "timeout": 120.5,
                "disabled": False,
            },
            "b": {"env": {"K": "key", "UNSET": ""}},
        },
    ),
    "OpenCode": (
        "opencode.json",
        OPENCODE,
        {
            "a": {"type": "http", "headers": {"A": "Bearer key"}, "disabled": False},
            "b": {"command": "npx", "args": ("-y", "8080"), "env": {"A": "1"}},
        },
    ),
    "Continue": ("config.yaml", CONTINUE, {"a": {"type": "http", "url": "https://h"}}),
    "the original design": (
        "config.yaml",
        ORIGINAL,
        {
            "server1": {"type": "sse", "headers": {"Authorization": "Bearer your_api_key"}},
            "server2": {"command": "uvx"},
        },
    ),
}


@pytest.mark.parametrize("host", FILES)
def test_a_file_of_a_host_loads_as_it_is(tmp_path: Path, host: str) -> None:
    name, text, expected = FILES[host]
    config = load(tmp_path, text, name, environ={"K": "key"})

    assert list(config.servers) == list(expected)
    for key, settings in expected.items():
        server = shown(config.servers[key].model_dump())
        assert {setting: server[setting] for setting in settings} == settings
    assert (config.server.port, config.skipped) == (8765, {})


def test_tool_lists_of_hosts_become_rules(tmp_path: Path) -> None:
    tools = load(tmp_path, GEMINI, "settings.json").servers["a"].tools

    assert (tools.include, tools.exclude) == (("x",), ("y",))


def test_what_only_a_host_knows_is_noted(tmp_path: Path) -> None:
    assert load(tmp_path, GEMINI, "settings.json").notes == (
        "settings.json:1:2: a host's file; only its servers are read, not theme, mcp, security, tools",
        "settings.json:2:62: mcpServers.a.timeout: above 1000, so taken as milliseconds: 600 s",
        "settings.json:2:70: mcpServers.a.trust: only its host knows this key; ignored",
        "settings.json:3:25: mcpServers.a.oauth: only its host knows this key; ignored",
    )


def test_many_keys_of_a_host_are_counted(tmp_path: Path) -> None:
    text = "{" + ", ".join(f'"k{number}": 1' for number in range(12)) + ', "mcpServers": {}}'

    assert load(tmp_path, text, ".claude.json").notes[0].endswith("k9 and 2 more")


def test_a_folder_of_a_host_makes_the_file_its_own(tmp_path: Path) -> None:
    folder = tmp_path / ".codex"
    folder.mkdir()

    assert list(load(folder, 'personality = "x"\n[mcp_servers.a]\ncommand = "x"\n', "config.toml").servers) == ["a"]


@pytest.mark.parametrize(
    ("text", "name", "line"),
    [
        ("name: x\nserver: {}\n", "my.yaml", "my.yaml:1:1: name: unknown key"),
        ("model: x\n", "gateway.yaml", "gateway.yaml:1:1: model: unknown key, did you mean 'reload'?"),
        ("theme: x\nlimits: {}\n", "mcp.json.yaml", "mcp.json.yaml:1:1: theme: unknown key"),
        ("mcp: {a: {command: x}}\n", "gateway.yaml", "gateway.yaml:1:1: mcp: unknown key"),
        ("sever: {}\n", "my.yaml", "my.yaml:1:1: sever: unknown key, did you mean 'server'?"),
    ],
)
def test_a_file_of_ours_refuses_the_keys_of_hosts(tmp_path: Path, text: str, name: str, line: str) -> None:
    assert problems(tmp_path, text, name)[0].startswith(line.split(", did")[0])


def test_lists_need_names(tmp_path: Path) -> None:
    assert problems(tmp_path, "mcp_servers:\n  - {command: x}\n  - text\n") == [
        "gateway.yaml:2:5: mcp_servers[0]: 'name' is missing",
        "gateway.yaml:3:5: mcp_servers[1]: expected a mapping, found text",
    ]


def test_servers_must_be_a_mapping_or_a_list(tmp_path: Path) -> None:
    assert problems(tmp_path, "mcpServers: text\n") == [
        "gateway.yaml:1:13: mcpServers: expected a mapping of servers by name, found text"
    ]


def test_two_server_keys_are_merged_and_their_names_are_one_space(tmp_path: Path) -> None:
    assert list(load(tmp_path, "mcpServers: {a: {command: x}}\nservers: {b: {command: x}}\n").servers) == ["a", "b"]
    assert problems(tmp_path, "mcpServers: {a: {command: x}}\nservers: {a: {command: x}}\n") == [
        "gateway.yaml:2:11: servers.a: a second server of the name 'a', first written on line 1"
    ]


def test_variables_of_an_env_file_stand_behind_env(tmp_path: Path) -> None:
    (tmp_path / "child.env").write_text("A=file\nB=secret-of-file\n")
    text = '{"mcpServers": {"a": {"command": "x", "envFile": "child.env", "env": {"A": "own"}}}}'
    config = load(tmp_path, text, "mcp.json")

    assert shown(config.servers["a"].model_dump())["env"] == {"A": "own", "B": "secret-of-file"}
    assert "secret-of-file" in config.secrets


@pytest.mark.parametrize(
    ("entry", "line"),
    [
        ("env_vars: A", "gateway.yaml:1:40: mcpServers.a.env_vars: expected a list of variable names"),
        (
            "env_http_headers: [A]",
            "gateway.yaml:1:48: mcpServers.a.env_http_headers: expected a mapping of header names",
        ),
        ("env_vars: [[A]]", "gateway.yaml:1:40: mcpServers.a.env_vars: expected a list of variable names"),
        ("headers: x, api_key: abc", "gateway.yaml:1:30: mcpServers.a.headers: only a server with a url has it"),
        ("tools: x, includeTools: [a]", "gateway.yaml:1:37: mcpServers.a.tools: expected a mapping, found text"),
        ("env: x, envFile: child.env", "gateway.yaml:1:35: mcpServers.a.env: expected a mapping, found text"),
        ("includeTools: [a], enabledTools: [b]", "gateway.yaml:1:49: mcpServers.a.enabledTools: means the same as "),
        ("disabled: true, enabled: true", "gateway.yaml:1:46: mcpServers.a.enabled: means the same as 'disabled'"),
    ],
)
def test_odd_shapes_of_known_spellings_are_refused(tmp_path: Path, entry: str, line: str) -> None:
    (tmp_path / "child.env").write_text("A=file\n")

    assert problems(tmp_path, f"mcpServers: {{a: {{command: x, {entry}}}}}\n")[0].startswith(line)


def test_a_command_list_goes_before_the_arguments(tmp_path: Path) -> None:
    config = load(tmp_path, "mcpServers: {a: {cmd: [x, 1], args: [2]}, b: {command: [y]}}\n")

    assert [(s.model_dump()["command"], s.model_dump()["args"]) for s in config.servers.values()] == [
        ("x", ("1", "2")),
        ("y", ()),
    ]


def test_a_command_mapping_holds_the_program_its_arguments_and_its_variables(tmp_path: Path) -> None:
    text = """{"context_servers": {"a": {"source": "custom", "settings": {},
 "command": {"path": "npx", "args": ["-y", "b"], "env": {"K": "${V}"}, "timeout": 60000}}}}"""
    server = shown(load(tmp_path, text, "settings.json", environ={"V": "value"}).servers["a"].model_dump())

    assert (server["command"], server["args"], server["timeout"]) == ("npx", ("-y", "b"), 60)
    assert server["env"] == {"K": "value"}


@pytest.mark.parametrize(
    ("entry", "line"),
    [
        (
            "{command: {path: x, arg: [y]}}",
            "gateway.yaml:1:37: mcpServers.a.command.arg: unknown key, did you mean 'args'?",
        ),
        (
            "{command: {path: x, args: [y]}, args: [z]}",
            "gateway.yaml:1:37: mcpServers.a.command.args: means the same as 'args' on line 1; keep one",
        ),
        ("{command: {args: [y]}}", "gateway.yaml:1:27: mcpServers.a.command: "),
    ],
)
def test_an_odd_command_mapping_is_refused(tmp_path: Path, entry: str, line: str) -> None:
    (problem,) = problems(tmp_path, f"mcpServers: {{a: {entry}}}\n")
    assert problem.startswith(line)
