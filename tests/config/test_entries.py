"""Server entries: what they mean, what is refused, and who is left out today."""

from __future__ import annotations

from pathlib import Path

import pytest
from mcp_gateway.config import HttpServer, SseServer, StdioServer

from tests.config.files import load, problems


def test_a_server_has_safe_defaults(tmp_path: Path) -> None:
    server = load(tmp_path, "mcpServers: {Ä b: {command: x}}\n").servers["Ä b"]

    assert server.model_dump() == {
        "name": "Ä b",
        "type": "stdio",
        "command": "x",
        "args": (),
        "env": {},
        "cwd": None,
        "sandbox": None,
        "disabled": False,
        "timeout": 60.0,
        "startup_timeout": 30.0,
        "timeout_resets_on_progress": False,
        "prefix": None,
        "tools": {"include": ("*",), "exclude": (), "rename": {}, "describe": {}, "timeout": {}, "rate": {}},
        "cache": {"tools": (), "ttl": None, "auto": False, "stale": 0.0},
        "era": "auto",
        "lazy": False,
        "idle_stop": None,
        "restart": {"max": 5, "backoff": (0.5, 30.0)},
        "concurrency": 256,
        "rate": None,
        "queue": 1024,
        "isolation": "shared",
        "trust": "first-use",
    }


def test_a_remote_server_has_its_own_settings(tmp_path: Path) -> None:
    text = """
mcpServers:
  a:
    url: https://h/mcp
    headers: {X-Key: abc}
    tls: {ca: ca.pem, cert: ~/c.pem, key: /k.pem, verify: false}
    proxy: http://user:pass@proxy:3128
    auth: {client_id: me, scopes: [a, b]}
    restart: {max: 0, backoff: [1, 2]}
    idle_stop: 15m
    timeout: 2m
    cache: {tools: get_*, ttl: 1h}
"""
    server = load(tmp_path, text, environ={"HOME": "/home/me"}).servers["a"]

    assert isinstance(server, HttpServer)
    assert server.headers["X-Key"].get_secret_value() == "abc"
    assert (server.tls.ca, server.tls.cert, server.tls.key) == (
        tmp_path / "ca.pem",
        Path("/home/me/c.pem"),
        Path("/k.pem"),
    )
    assert not server.tls.verify
    assert server.proxy is not None
    assert server.auth is not None
    assert server.auth.scopes == ("a", "b")
    assert (server.restart.backoff, server.idle_stop, server.timeout) == ((1.0, 2.0), 900.0, 120.0)
    assert (server.cache.tools, server.cache.ttl) == (("get_*",), 3600.0)


@pytest.mark.parametrize(
    ("entry", "kind"),
    [
        ("command: x", StdioServer),
        ("command: x, type: local", StdioServer),
        ("url: 'http://h/mcp'", HttpServer),
        ("url: 'http://h/sse'", SseServer),
        ("url: 'http://h/sse/?a=b'", SseServer),
        ("url: 'http://h/sse', type: http", HttpServer),
        ("httpUrl: 'http://h/sse'", HttpServer),
        ("serverUrl: 'http://h/mcp'", HttpServer),
        ("uri: 'http://h/mcp', type: streamable_http", HttpServer),
        ("url: 'http://h', type: streamableHttp", HttpServer),
        ("url: 'http://h', type: Streamable-HTTP", HttpServer),
        ("url: 'http://h', type: remote", HttpServer),
        ("url: 'http://h', transport: sse", SseServer),
        ("url: 'http://h', mode: sse, command: '', args: [], env: {}", SseServer),
    ],
)
def test_the_type_is_told_from_what_is_there(tmp_path: Path, entry: str, kind: type) -> None:
    assert type(load(tmp_path, f"mcpServers: {{a: {{{entry}}}}}\n").servers["a"]) is kind


REFUSED = {
    "neither": ("{}", "gateway.yaml:1:14: mcpServers.a: a server needs a 'command' or a 'url'"),
    "no mapping": ("npx", "gateway.yaml:1:17: mcpServers.a: expected a mapping, found text"),
    "nothing": ("", "gateway.yaml:1:17: mcpServers.a: expected a mapping, found nothing"),
    "both": (
        "{command: x, url: 'http://h'}",
        "gateway.yaml:1:30: mcpServers.a.url: a server has a command or a url, not both",
    ),
    "a slip": ("{comand: x}", "gateway.yaml:1:18: mcpServers.a.comand: unknown key, did you mean 'command'?"),
    "a slip of an alias": (
        "{command: x, includTools: []}",
        "gateway.yaml:1:30: mcpServers.a.includTools: unknown key, did you mean 'includeTools'?",
    ),
    "a slip inside": (
        "{command: x, restart: {maxx: 1}}",
        "gateway.yaml:1:40: mcpServers.a.restart.maxx: unknown key, did you mean 'max'?",
    ),
    "nothing near": ("{command: x, zzz: 1}", "gateway.yaml:1:30: mcpServers.a.zzz: unknown key"),
    "a type": (
        "{url: 'http://h', type: htp}",
        "gateway.yaml:1:41: mcpServers.a.type: not a type of server; expected one of http, sse, stdio, "
        "did you mean 'http'?",
    ),
    "a scheme": (
        "{url: 'ftp://h'}",
        "gateway.yaml:1:23: mcpServers.a.url: the value is not a URL that starts with http:// or https://",
    ),
    "a port": ("{url: 'http://h:99999'}", "gateway.yaml:1:23: mcpServers.a.url: the value is not a URL"),
    "a space": (
        "{url: 'http://h/a b'}",
        "gateway.yaml:1:23: mcpServers.a.url: the value is not a URL: it holds a space or a control character",
    ),
    "headers of a child": (
        "{command: x, headers: {A: b}}",
        "gateway.yaml:1:30: mcpServers.a.headers: only a server with a url has it",
    ),
    "arguments of an address": (
        "{url: 'http://h', args: [x]}",
        "gateway.yaml:1:35: mcpServers.a.args: only a stdio server has it",
    ),
    "a list": ("{command: x, args: y}", "gateway.yaml:1:36: mcpServers.a.args: expected a list, found text"),
    "text": ("{command: x, args: [[y]]}", "gateway.yaml:1:37: mcpServers.a.args[0]: expected text, found a list"),
    "a mapping": ("{command: x, env: [A]}", "gateway.yaml:1:35: mcpServers.a.env: expected a mapping, found a list"),
    "a program": ("{command: ' '}", "gateway.yaml:1:27: mcpServers.a.command: ' ' is not a program: it is empty"),
    "a NUL": ('{command: "a\\0"}', "gateway.yaml:1:27: mcpServers.a.command: 'a\\x00' holds a NUL character"),
    "a variable": (
        "{command: x, env: {'A=B': c}}",
        "gateway.yaml:1:35: mcpServers.a.env: it has a name that cannot name an environment variable",
    ),
    "a variable's value": (
        '{command: x, env: {A: "\\0"}}',
        "gateway.yaml:1:35: mcpServers.a.env: it has a value with a NUL",
    ),
    "a header": (
        "{url: 'http://h', headers: {'A B': c}}",
        "gateway.yaml:1:44: mcpServers.a.headers: it has a name that is not an HTTP header name",
    ),
    "a header's value": (
        '{url: "http://h", headers: {A: "b\\r\\nC: d"}}',
        "gateway.yaml:1:44: mcpServers.a.headers: it has a value with a line break or NUL",
    ),
    "a duration": (
        "{command: x, timeout: soon}",
        "gateway.yaml:1:39: mcpServers.a.timeout: 'soon' is not a duration such as 30, 30s, 5m or 7d",
    ),
    "no time": ("{command: x, timeout: 0}", "gateway.yaml:1:39: mcpServers.a.timeout: '0' is not more than 0.0"),
    "a boolean": ("{command: x, lazy: maybe}", "gateway.yaml:1:36: mcpServers.a.lazy: 'maybe' is not true or false"),
    "enabled": ("{command: x, enabled: 2}", "gateway.yaml:1:39: mcpServers.a.enabled: is not true or false"),
    "a range": (
        "{command: x, restart: {backoff: 30..1}}",
        "gateway.yaml:1:49: mcpServers.a.restart.backoff: '30..1' is not a range of seconds, from the shorter to the "
        "longer",
    ),
    "half a range": (
        "{command: x, restart: {backoff: 30}}",
        "gateway.yaml:1:49: mcpServers.a.restart.backoff: '30' is not a range of seconds such as 0.5..30",
    ),
    "a key alone": (
        "{url: 'http://h', tls: {key: k}}",
        "gateway.yaml:1:40: mcpServers.a.tls: it has a key but no cert",
    ),
    "a login": (
        "{url: 'http://h', auth: maybe}",
        "gateway.yaml:1:41: mcpServers.a.auth: 'maybe' is not none, oauth or a mapping",
    ),
    "twice": (
        "{url: 'http://h', uri: 'http://i'}",
        "gateway.yaml:1:35: mcpServers.a.uri: means the same as 'url' on line 1; keep one",
    ),
    "two tokens": (
        "{url: 'http://h', headers: {authorization: a}, api_key: b}",
        "gateway.yaml:1:64: mcpServers.a.api_key: means the same as 'authorization' on line 1; keep one",
    ),
    "an odd key": ("{url: 'http://h', api_key: [b]}", "gateway.yaml:1:44: mcpServers.a.api_key: expected text"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_bad_entry_is_refused_with_its_place(tmp_path: Path, case: str) -> None:
    entry, line = REFUSED[case]

    assert problems(tmp_path, f"mcpServers: {{a: {entry}}}\n") == [line]


def test_the_inside_of_a_block_without_its_first_line_is_told_where_servers_stand(tmp_path: Path) -> None:
    assert problems(tmp_path, "time: {command: x}\nfrob: {}\n") == [
        "gateway.yaml:1:1: time: unknown key, servers stand below 'mcpServers'",
        "gateway.yaml:2:1: frob: unknown key",
    ]


def test_all_problems_are_told_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = """version: 2
mcpServers:
  fs:
    comand: npx
    timeout: soon
  other: {url: "ftp://x"}
server:
  host: "a b"
  port: eighty
  prot: 1
"""
    assert problems(tmp_path, text) == [
        "gateway.yaml:1:10: version: '2' is not a version that this gateway reads; it reads version 1",
        "gateway.yaml:4:5: mcpServers.fs.comand: unknown key, did you mean 'command'?",
        "gateway.yaml:5:14: mcpServers.fs.timeout: 'soon' is not a duration such as 30, 30s, 5m or 7d",
        "gateway.yaml:6:16: mcpServers.other.url: the value is not a URL that starts with http:// or https://",
        "gateway.yaml:8:9: server.host: 'a b' is not a host name or address",
        "gateway.yaml:9:9: server.port: 'eighty' is not a whole number",
        "gateway.yaml:10:3: server.prot: unknown key, did you mean 'port'?",
    ]


def test_an_unset_variable_skips_its_server_and_no_other(tmp_path: Path) -> None:
    text = """mcpServers:
  first: {command: x}
  second:
    url: ${ADDRESS}
    headers: {A: "${TOKEN:?see the wiki}", B: "${TOKEN:?see the wiki}"}
    timeout: ${T}
    enabled: ${E}
    type: ${KIND}
    restart: {backoff: "${R}"}
  third: {command: y}
"""
    config = load(tmp_path, text)

    assert list(config.servers) == ["first", "second", "third"]
    assert [server.disabled for server in config.servers.values()] == [False, True, False]
    assert config.skipped == {
        "second": "gateway.yaml:4:10: mcpServers.second.url: ADDRESS is not set; TOKEN is not set: see the wiki; "
        "T is not set; E is not set; KIND is not set; R is not set"
    }


def test_an_editors_question_skips_its_server_and_no_other(tmp_path: Path) -> None:
    text = """{
  "inputs": [{"type": "promptString", "id": "k"}],
  "servers": {
    "asks": {"url": "https://h", "headers": {"A": "Bearer ${input:k}"}},
    "other": {"command": "x"}
  }
}"""
    config = load(tmp_path, text, "mcp.json")

    assert [server.disabled for server in config.servers.values()] == [True, False]
    assert config.skipped == {
        "asks": "mcp.json:4:51: servers.asks.headers.A: '${input:k}' asks in an editor; use ${VAR} and set the "
        "variable in .env"
    }


def test_an_editors_question_outside_a_server_is_a_problem(tmp_path: Path) -> None:
    assert problems(tmp_path, "llm: {api_key: '${input:k}'}\n") == [
        "gateway.yaml:1:16: llm.api_key: '${input:k}' asks in an editor; use ${VAR} and set the variable in .env"
    ]


def test_a_skipped_server_is_still_checked(tmp_path: Path) -> None:
    text = "mcpServers: {a: {command: x, env: {A: '${A}'}, lazy: maybe}}\n"

    assert problems(tmp_path, text) == ["gateway.yaml:1:54: mcpServers.a.lazy: 'maybe' is not true or false"]


def test_an_unknown_key_is_refused_whatever_its_value(tmp_path: Path) -> None:
    text = "mcpServers: {a: {command: x, zzz: '${A}', timeout: '${A}'}}\n"

    assert problems(tmp_path, text) == ["gateway.yaml:1:30: mcpServers.a.zzz: unknown key"]


def test_a_reference_in_a_list_or_deep_down_may_be_unset(tmp_path: Path) -> None:
    text = "mcpServers: {a: {command: x, restart: {backoff: ['${A}', 2]}, tools: {timeout: {t: '${B}'}}}}\n"
    server = load(tmp_path, text).servers["a"]

    assert (server.restart.backoff, server.tools.timeout, server.disabled) == ((0.5, 30.0), {}, True)


@pytest.mark.parametrize(("written", "is_on"), [("oauth", True), ("none", False)])
def test_a_login_may_be_a_word(tmp_path: Path, written: str, is_on: bool) -> None:
    server = load(tmp_path, f"mcpServers: {{a: {{url: 'http://h', auth: {written}}}}}\n").servers["a"]

    assert isinstance(server, HttpServer)
    assert (server.auth is not None) is is_on


def test_a_disabled_server_needs_no_variables(tmp_path: Path) -> None:
    config = load(tmp_path, "mcpServers: {a: {command: x, env: {A: '${A}'}, disabled: true}}\n")

    assert config.servers["a"].disabled
    assert config.skipped == {}


def test_a_missing_env_file_skips_its_server(tmp_path: Path) -> None:
    config = load(tmp_path, "mcpServers: {a: {command: x, envFile: none.env}}\n")

    assert config.skipped == {"a": "gateway.yaml:1:17: mcpServers.a: envFile: no such file"}


def test_an_unset_variable_anywhere_else_is_a_problem(tmp_path: Path) -> None:
    text = "llm: {api_key: '${KEY}'}\nauth: {oauth: {issuer: '${ISSUER}', audience: a}}\nserver: {port: '${PORT}'}\n"

    assert problems(tmp_path, text) == [
        "gateway.yaml:1:16: llm.api_key: KEY is not set",
        "gateway.yaml:2:24: auth.oauth.issuer: ISSUER is not set",
        "gateway.yaml:3:16: server.port: PORT is not set",
    ]
