"""The real servers that the tests put behind the gateway, and how to meet each of them.

Entering a fleet starts what has to listen on a port; everything else is started by
whoever connects. What comes out is the `mcpServers` of a configuration, and a
`Meeting`: a client of one server, directly or through the gateway, under the
names that apply there.
"""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from mcp import Client, StdioServerParameters
from mcp.client.sse import sse_client

from tests.setup import node_server, python_server

PAGE = b"<html><body><main><h1>The exchange</h1><p>Number, please?</p></main></body></html>"
EVERYTHING = ("everything", "every-sse", "every-http")
"""One program over stdio, HTTP+SSE and Streamable HTTP. The first in the file keeps its URIs (design, decision 13)."""


@dataclass(frozen=True)
class Fleet:
    """`servers` is a configuration's `mcpServers`; the rest is what they look at."""

    servers: dict[str, dict[str, Any]]
    repository: Path
    files: Path
    page_url: str


@dataclass(frozen=True)
class Meeting:
    """How one client meets the servers: directly when `gateway_url` is None, in an era of its own choice."""

    fleet: Fleet
    gateway_url: str | None
    era: str

    def client(self, server: str, **callbacks: Any) -> Client:
        if self.gateway_url is not None:
            return Client(self.gateway_url, mode=self.era, **callbacks)
        entry = self.fleet.servers[server]
        match entry.get("type", "stdio"):
            case "stdio":
                parameters = StdioServerParameters(
                    command=entry["command"], args=entry["args"], env=entry.get("env"), cwd=entry.get("cwd")
                )
                return Client(parameters, mode=self.era, **callbacks)
            case "sse":
                return Client(sse_client(entry["url"]), mode=self.era, **callbacks)
            case _:
                return Client(entry["url"], mode=self.era, **callbacks)

    def name(self, server: str, name: str) -> str:
        """A tool or prompt of the server, as this client has to call it."""
        return name if self.gateway_url is None else f"{server}__{name}"

    def uri(self, server: str, uri: str) -> str:
        """A resource of the server; behind the gateway those of the later copies give way to the first's."""
        return uri if self.gateway_url is None or server not in EVERYTHING[1:] else f"x-{server}+{uri}"


@contextmanager
def fleet(folder: Path) -> Iterator[Fleet]:
    """Everything the servers need, below one folder."""
    with ExitStack() as stack:
        repository = make_repository(folder / "repository")
        files = folder / "files"
        files.mkdir()
        page_url = stack.enter_context(web_page())
        sse_url = stack.enter_context(everything_over_http("sse", "/sse"))
        http_url = stack.enter_context(everything_over_http("streamableHttp", "/mcp"))
        servers = {
            "everything": stdio([*node_server("server-everything"), "stdio"]),
            "every-sse": {"type": "sse", "url": sse_url},
            "every-http": {"type": "http", "url": http_url},
            "time": stdio([*python_server("mcp-server-time"), "--local-timezone", "UTC"]),
            "git": stdio([*python_server("mcp-server-git"), "--repository", str(repository)]),
            "fetch": stdio([*python_server("mcp-server-fetch"), "--allow-private-ips", "--ignore-robots-txt"]),
            "files": stdio([*node_server("server-filesystem"), str(files)]),
            "memory": stdio(node_server("server-memory"), MEMORY_FILE_PATH=str(folder / "memory.jsonl")),
        }
        yield Fleet(servers, repository, files, page_url)


def stdio(command: list[str], **env: str) -> dict[str, Any]:
    """The entry of a server that runs as a child."""
    program, *args = command
    entry: dict[str, Any] = {"command": program, "args": args}
    return entry | {"env": env} if env else entry


def make_repository(folder: Path) -> Path:
    """A repository with one commit, by a person of its own."""
    author = ["-c", "user.name=Operator", "-c", "user.email=operator@example.com", "-c", "commit.gpgsign=false"]
    folder.mkdir()
    (folder / "README").write_text("hello\n")
    for arguments in (["init", "-q"], ["add", "README"], [*author, "commit", "-q", "-m", "plug in the first line"]):
        subprocess.run(["git", *arguments], cwd=folder, check=True, stdin=subprocess.DEVNULL)
    return folder


@contextmanager
def web_page() -> Iterator[str]:
    """A page on loopback, the same at every path."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(PAGE)))
            self.end_headers()
            self.wfile.write(PAGE)

        def log_message(self, format: str, *args: Any) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/page"
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def everything_over_http(transport: str, path: str) -> Iterator[str]:
    """server-everything listening on a port; its URL."""
    port = free_port()
    process = subprocess.Popen(
        [*node_server("server-everything"), transport],
        env={**os.environ, "PORT": str(port)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    assert process.stderr is not None
    with process.stderr:
        for line in process.stderr:
            if str(port).encode() in line:
                break
        else:
            raise AssertionError(f"server-everything did not start over {transport}")
        drain = Thread(target=process.stderr.read)
        drain.start()
        try:
            yield f"http://127.0.0.1:{port}{path}"
        finally:
            process.kill()  # its own farewell waits for every open stream
            process.wait()
            drain.join()


def free_port() -> int:
    """A port that was free a moment ago: the servers here cannot be told to choose one."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
