"""R-LOG-1: what is secret comes in wherever secrets come in, and out nowhere."""

from __future__ import annotations

import base64
import json
import sqlite3
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote

from mcp_gateway.security.keys import hashed, new_key
from websockets.sync.client import connect

from tests.cli.command import run, tool_box
from tests.gateway import READY_S, Gateway

ROOT = Path(__file__).parents[2]

PLANTED = (
    # of the configuration
    "env-written",
    "env-dotenv",
    "env-environment",
    "env-file",
    "env-file-second-line",
    "env-stored",
    "env-keyring",
    "argument-of-a-program",
    "header-bearer",
    "header-basic",
    "header-own",
    "header-cookie",
    "header-echoed-in-errors",
    "url-userinfo",
    "url-query",
    "url-query-written",
    "proxy-password",
    "oauth-client",
    "model-key",
    "search-key",
    "webhook-path",
    # of this machine
    "dotenv-unused",
    "environment-unused",
    "child-prints",
    # of callers
    "wrong-bearer",
    "wrong-api-key",
    "key-in-the-query",
    "cookie-of-a-caller",
    "argument-of-a-call",
    "token-in-a-uri",
)
SECRETS = {name: f"{name}/{number:02d}+hush" for number, name in enumerate(PLANTED)}
KEY = new_key()
MASTER = base64.urlsafe_b64encode(b"the key that seals all secrets!!").decode()


class Echoing(BaseHTTPRequestHandler):
    """An upstream that is broken and repeats in its errors whatever it was sent."""

    heard: list[dict[str, str]]

    def do_POST(self) -> None:
        self.heard.append(dict(self.headers))
        body = json.dumps({"error": f"cannot serve {self.path} {dict(self.headers)}"}).encode()
        self.send_response(500)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST  # noqa: N815 - the library's name

    def log_message(self, format: str, *values: Any) -> None:
        """Not to the test's standard error."""


@contextmanager
def echoing() -> Iterator[tuple[str, list[dict[str, str]]]]:
    """Its origin, and the headers of the requests that came."""
    heard: list[dict[str, str]] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Of this test", (Echoing,), {"heard": heard}))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", heard
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def configuration(folder: Path, broken: str) -> dict[str, Any]:
    basic = base64.b64encode(f"user:{SECRETS['header-basic']}".encode()).decode()
    (folder / ".env").write_text(
        f'FROM_DOTENV="{SECRETS["env-dotenv"]}"\nAPI_KEY={SECRETS["model-key"]}\nUNUSED={SECRETS["dotenv-unused"]}\n'
    )
    (folder / "token").write_text(f"{SECRETS['env-file']}\n{SECRETS['env-file-second-line']}\n")
    remote: dict[str, Mapping[str, Any]] = {
        "bearer": {"headers": {"Authorization": f"Bearer {SECRETS['header-bearer']}"}},
        "basic": {"headers": {"Authorization": f"Basic {basic}"}},
        "own": {"headers": {"X-Own": SECRETS["header-own"], "Cookie": f"session={SECRETS['header-cookie']}"}},
        "echoed": {"headers": {"Authorization": SECRETS["header-echoed-in-errors"]}},
        "userinfo": {"url": broken.replace("//", f"//user:{quote(SECRETS['url-userinfo'], safe='')}@") + "/mcp"},
        "query": {"url": f"{broken}/mcp?api_key=${{FROM_QUERY}}"},
        "written": {"url": f"{broken}/mcp?api_key={quote(SECRETS['url-query-written'], safe='')}"},
        "proxied": {
            "url": "http://example.invalid/mcp",
            "proxy": broken.replace("//", f"//u:{quote(SECRETS['proxy-password'], safe='')}@"),
        },
        "oauth": {
            "auth": {"client_id": "us", "client_secret": SECRETS["oauth-client"], "client_credentials": True},
        },
    }
    return {
        "mcpServers": {
            "prints": tool_box("kinds", "refuse", env={"SECRET": SECRETS["child-prints"]}),
            "env": tool_box(
                "kinds",
                env={
                    "WRITTEN": SECRETS["env-written"],
                    "DOTENV": "${FROM_DOTENV}",
                    "ENVIRONMENT": "${FROM_ENVIRONMENT}",
                    "FILE": "${file:token}",
                    "STORED": "${secret:stored}",
                    "KEYRING": "${keyring:kept}",
                },
            ),
            "ends": {
                "command": sys.executable,
                "args": ["-c", "import sys; sys.exit(f'cannot start with {sys.argv[1]}')", "${FROM_ARGUMENT}"],
            },
            **{name: {"type": "http", "url": f"{broken}/mcp", **entry} for name, entry in remote.items()},
        },
        "auth": {
            "keys": [{"name": "boss", "hash": hashed(KEY), "scopes": ["read", "call", "ask", "execute", "admin"]}]
        },
        "llm": {"base_url": broken, "model": "none"},
        "tools": {"search": {"providers": [{"type": "brave", "api_key": SECRETS["search-key"]}]}},
        "observability": {
            "log": {"level": "debug", "format": "json"},
            "alerts": {"webhook": f"{broken}/hooks/{SECRETS['webhook-path']}"},
        },
    }


def environ() -> dict[str, str]:
    return {
        "FROM_ENVIRONMENT": SECRETS["env-environment"],
        "FROM_QUERY": SECRETS["url-query"],
        "FROM_ARGUMENT": SECRETS["argument-of-a-program"],
        "DATABASE_PASSWORD": SECRETS["environment-unused"],
        "MCP_GATEWAY_SECRET_KEY": MASTER,
        "KEYRING_SECRET": SECRETS["env-keyring"],
        "PYTHON_KEYRING_BACKEND": "tests.fakes.system_keyring.VariableKeyring",
        "PYTHONPATH": str(ROOT),
    }


class Caller:
    """Somebody at the HTTP doors who keeps all answers."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.heard: list[str] = []

    def ask(self, path: str, body: Any = None, **headers: str) -> str:
        headers = {"X-API-Key": KEY, "Content-Type": "application/json", **headers}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.gateway.origin}{path}", data, headers)
        try:
            with urllib.request.urlopen(request, timeout=READY_S) as answer:
                text = f"{answer.headers}{answer.read().decode()}"
        except urllib.error.HTTPError as refused:
            with refused:
                text = f"{refused.headers}{refused.read().decode()}"
        self.heard.append(text)
        return text

    def states(self) -> dict[str, str]:
        body = json.loads(self.ask("/api/v1/status").partition("\n\n")[2])
        return {server["name"]: server["state"] for server in body["servers"]}


def spellings(secret: str) -> set[str]:
    return {secret, quote(secret, safe=""), base64.b64encode(secret.encode()).decode().rstrip("=")[:-1]}


def looked_at(caller: Caller, servers: list[str]) -> None:
    """Calls that hold secrets, credentials that are none, and then every page of REST."""
    caller.ask("/api/v1/tools", **{"X-API-Key": "", "Authorization": f"Bearer {SECRETS['wrong-bearer']}"})
    caller.ask("/api/v1/tools", **{"X-API-Key": SECRETS["wrong-api-key"]})
    caller.ask(f"/api/v1/tools?key={quote(SECRETS['key-in-the-query'])}", Cookie=f"s={SECRETS['cookie-of-a-caller']}")
    caller.ask("/api/v1/resources/read", {"uri": f"x://y/?token={quote(SECRETS['token-in-a-uri'], safe='')}"})
    caller.heard.pop()  # whoever asked is told what there is not
    caller.ask("/api/v1/embeddings", {"input": SECRETS["argument-of-a-call"]})
    caller.ask("/api/v1/ask", {"question": SECRETS["argument-of-a-call"]})
    for secret in ("argument-of-a-call", "header-bearer"):
        caller.ask("/api/v1/tools/prints__refuse/call", {"arguments": {"text": SECRETS[secret]}})
    caller.ask("/api/v1/tools/echoed__any/call", {"arguments": {"text": SECRETS["env-written"]}})
    caller.ask("/api/v1/reload", {})
    for page in ("status", "servers", "tools", "calls", "cache", "pins", "resources", "prompts"):
        caller.ask(f"/api/v1/{page}")
    for page in ("/openapi.json", "/metrics", *(f"/api/v1/servers/{name}" for name in servers)):
        caller.ask(page)


def watched(gateway: Gateway) -> list[str]:
    """What a WebSocket tells of servers and calls."""
    heard: list[str] = []
    origin = gateway.origin.replace("http", "ws", 1)
    with connect(f"{origin}/ws", additional_headers={"X-API-Key": KEY}, proxy=None) as line:
        line.send(json.dumps({"id": 1, "type": "subscribe", "topics": ["calls", "catalog", "servers"]}))
        arguments = {"text": SECRETS["argument-of-a-call"], "more": SECRETS["env-dotenv"]}
        line.send(json.dumps({"id": 2, "type": "call", "tool": "prints__refuse", "arguments": arguments}))
        line.send(json.dumps({"id": 3, "type": "call", "tool": "echoed__any", "arguments": arguments}))
        answered: set[int] = set()
        while answered != {1, 2, 3}:
            heard.append(str(line.recv(timeout=READY_S)))
            frame = json.loads(heard[-1])
            answered |= {frame["id"]} if frame["type"] in ("result", "error") else set()
    return heard


def commands(folder: Path) -> list[str]:
    words = [
        ("status",),
        ("list", "servers"),
        ("validate",),
        ("cache", "stats"),
        ("pins", "diff"),
        ("keys", "list"),
        ("secrets", "list"),
        *(("inspect", name) for name in ("ends", "echoed")),
    ]
    done = [run(folder, *each, **environ()) for each in words]
    return [f"{each.out}{each.err}" for each in done]


def stored(folder: Path) -> str:
    """The state folder in plain: everything that stands in its files, those of databases included."""
    texts = []
    for path in sorted((folder / "home").rglob("*")):
        if path.is_file():
            texts.append(path.read_bytes().decode("utf-8", "replace"))
        if path.suffix == ".sqlite":
            with sqlite3.connect(path) as base:
                texts += ["\n".join(base.iterdump())]
    return "\n".join(texts)


def test_r_log_1_planted_secrets_appear_in_no_output(tmp_path: Path) -> None:
    assert len(set(SECRETS.values())) >= 30
    with echoing() as (broken, requests):
        config = configuration(tmp_path, broken)
        servers = list(config["mcpServers"])
        (tmp_path / "gateway.yaml").write_text(json.dumps(config))
        run(tmp_path, "secrets", "set", "stored", stdin=SECRETS["env-stored"], **environ())
        made = run(tmp_path, "--json", "keys", "create", "late", "--signing", **environ()).body
        with Gateway(tmp_path, config, env=environ()) as gateway:
            caller = Caller(gateway)
            deadline_monotonic_s = time.monotonic() + READY_S
            while "connecting" in caller.states().values() or "starting with" not in gateway.log:
                assert time.monotonic() < deadline_monotonic_s, caller.states()
                time.sleep(0.05)
            assert {name for name, state in caller.states().items() if state == "ready"} == {"prints", "env"}
            (run_file,) = (tmp_path / "home" / "run").glob("*.json")
            local = json.loads(run_file.read_text())["token"]
            run_text = run_file.read_text()
            looked_at(caller, servers)
            outputs = {
                "rest": "\n".join(caller.heard),
                "websocket": "\n".join(watched(gateway)),
                "commands": "\n".join(commands(tmp_path)),
            }
        outputs |= {"log": gateway.log, "state": stored(tmp_path), "run file": run_text.replace(local, "")}
        outputs |= {f"request {number}": str(headers) for number, headers in enumerate(requests)}

    assert "[redacted]" in outputs["log"]
    assert "sha256:" in outputs["state"], "no call was recorded"
    more = {"key": KEY, "master": MASTER, "local": local, "late": made["key"], "signing": made["signing_secret"]}
    leaks = [
        (name, where, around(text, output))
        for name, secret in (SECRETS | more).items()
        for where, output in outputs.items()
        if not is_its_own(name, where)
        for text in spellings(secret)
        if text in output
    ]
    assert not leaks, "\n".join(map(str, leaks))


def around(text: str, output: str) -> str:
    """Where a leak stands, for whoever has to mend it."""
    at = output.index(text)
    return output[max(0, at - 100) : at + 100]


def is_its_own(name: str, where: str) -> bool:
    """Credentials of an upstream are sent to it, which here is one for all of them; nothing else is."""
    return where.startswith("request") and name.startswith(
        ("header-", "url-userinfo", "oauth-client", "proxy-", "model-")
    )
