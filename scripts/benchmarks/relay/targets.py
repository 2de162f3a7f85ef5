"""What is measured: a process each, beside its upstream, and the time that it was on a processor."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.relay.scenarios import Era, Scenario, Way
from benchmarks.relay.upstream import FEW, MANY, MANY_PATH

READY_WITHIN_S = 60.0
SCRIPTS = Path(__file__).parents[2]
_NGINX_FOLDERS = "/usr/sbin:/usr/local/sbin:/opt/homebrew/bin"

NGINX = """
daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/nginx.log;
events {{ worker_connections 1024; }}
http {{
  access_log off; keepalive_timeout 600; keepalive_requests 100000000; client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  proxy_buffers 32 64k; proxy_buffer_size 64k; proxy_max_temp_file_size 0;
  upstream up {{ server 127.0.0.1:{upstream}; keepalive 128; keepalive_requests 100000000; }}
  server {{ listen 127.0.0.1:{port}; client_max_body_size 8m;
    location / {{ proxy_pass http://up; proxy_http_version 1.1; proxy_set_header Connection ""; }} }}
}}
"""


@dataclass(frozen=True, slots=True)
class Machine:
    """Load and upstream stay on one processor, what is measured on another, where there are two that can be chosen."""

    load_cpu: int | None
    target_cpu: int | None

    @classmethod
    def here(cls) -> Machine:
        cpus = sorted(os.sched_getaffinity(0)) if sys.platform == "linux" else []
        return cls(cpus[0], cpus[-1]) if len(cpus) > 1 else cls(None, None)

    def take_load_side(self) -> None:
        """This process, and what it starts from now on."""
        if self.load_cpu is not None:
            os.sched_setaffinity(0, {self.load_cpu})

    def give_target_side(self, pid: int) -> None:
        if self.target_cpu is not None:
            os.sched_setaffinity(pid, {self.target_cpu})

    def __str__(self) -> str:
        if self.load_cpu is None:
            return "processors are not pinned"
        return f"load and upstream on cpu {self.load_cpu}, targets on cpu {self.target_cpu}"


@dataclass(frozen=True, slots=True)
class Target:
    """`pid` is None for what is not measured but by its answers; `list_url` is where a thousand tools are listed."""

    name: str
    url: str
    ways: frozenset[Way]
    pid: int | None = None
    list_url: str = ""
    is_gateway: bool = False

    def takes(self, scenario: Scenario) -> bool:
        """FastMCP's proxy answers no call of a modern client before a legacy upstream (4.1.6, 2026-11-22)."""
        return scenario.way in self.ways and (self.name != "fastmcp" or scenario.era is Era.LEGACY)

    def tool(self, way: Way) -> str:
        name = "kept" if way is Way.CACHE else "echo"
        return f"{SERVER.get(way, 'up')}__{name}" if self.is_gateway else name

    @property
    def tools(self) -> set[str]:
        """What has to be listed before anything is measured."""
        if not self.is_gateway:
            return set()
        last = [f"{_few(number)}__{_few(number)}_tool_{FEW - 1:03d}" for number in range(MANY // FEW)]
        return {*map(self.tool, SERVER), *last}

    def cpu_ns(self) -> int:
        """Time on a processor so far, of all threads; in steps of 10 ms where the system does not tell it finer."""
        if self.pid is None:
            return 0
        tasks = Path(f"/proc/{self.pid}/task")
        if (tasks / str(self.pid) / "schedstat").exists():
            return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks.iterdir())
        times = psutil.Process(self.pid).cpu_times()
        return int((times.user + times.system) * 1e9)


ALL = frozenset(Way)
SERVER = {Way.HTTP: "up", Way.STDIO: "pipe", Way.CACHE: "kept"}
"""Where the gateway finds a scenario's tool."""

_HOP = frozenset({Way.HTTP})
_HOP_AND_LIST = frozenset({Way.HTTP, Way.LIST})


@contextmanager
def opened(folder: Path, machine: Machine, arguments: argparse.Namespace) -> Iterator[list[Target]]:
    """All that can be had here and is asked for, until the block ends."""
    with ExitStack() as stack:
        upstream = free_port()
        stack.enter_context(_process(_module("upstream", "http", str(upstream)), folder / "upstream.log"))
        _await_port(upstream)
        at = f"http://127.0.0.1:{upstream}"
        targets = [Target("direct", f"{at}/mcp", _HOP_AND_LIST, list_url=f"{at}/{MANY_PATH}/mcp")]
        for name, ways, command in _commands(folder, machine, upstream, arguments):
            port = free_port()
            filled = [part.replace("{port}", str(port)) for part in command]
            if name == "nginx":
                _write(folder / "nginx.conf", NGINX.format(folder=folder, port=port, upstream=upstream))
            pid = stack.enter_context(
                _process(filled, folder / f"{name}.log", {"MCP_GATEWAY_HOME": f"{folder}/{name}"})
            )
            _await_port(port)
            machine.give_target_side(pid)
            url = f"http://127.0.0.1:{port}/mcp"
            many = url.replace("/mcp", f"/{MANY_PATH}/mcp") if name == "nginx" else url
            targets.append(Target(name, url, ways, pid, many, is_gateway=name.startswith("ours")))
        yield [target for target in targets if _is_wanted(target.name, arguments)]


def _commands(
    folder: Path, machine: Machine, upstream: int, arguments: argparse.Namespace
) -> Iterator[tuple[str, frozenset[Way], list[str]]]:
    """Name, what it can be asked, and how it is started; `{port}` stands for its port."""
    url = f"http://127.0.0.1:{upstream}/mcp"
    known: list[tuple[str, frozenset[Way], list[str]]] = [("floor", ALL, _module("floor", "{port}"))]
    if (nginx := _nginx()) is not None and not arguments.quick:
        known.append(("nginx", _HOP_AND_LIST, [nginx, "-c", str(folder / "nginx.conf"), "-p", str(folder)]))
    if not arguments.quick:
        known.append(("sdk", _HOP, _module("sdk_hop", url, "{port}")))
    if arguments.fastmcp is not None:
        script = Path(__file__).with_name("fastmcp_proxy.py")
        known.append(("fastmcp", _HOP, [str(arguments.fastmcp), str(script), url, "{port}"]))
    for name, lane in (("ours", True), ("ours, lane off", False)):
        if lane or not arguments.quick:
            config = folder / f"{'on' if lane else 'off'}.json"
            _write(config, json.dumps(gateway_config(upstream, machine, lane=lane)))
            serve = [sys.executable, "-m", "mcp_gateway", "serve", "-c", str(config), "--port", "{port}"]
            known.append((name, ALL, [*serve, "--expose", "all"]))
    yield from (entry for entry in known if _is_wanted(entry[0], arguments))


def gateway_config(upstream: int, machine: Machine, *, lane: bool) -> dict[str, object]:
    """A default install, apart from the lane; the tool that is kept is in no other server's way."""
    at = f"http://127.0.0.1:{upstream}"
    pipe = _module("upstream", "stdio")
    pipe += [] if machine.load_cpu is None else ["--cpu", str(machine.load_cpu)]
    servers: dict[str, object] = {
        "up": {"url": f"{at}/mcp"},
        "kept": {"url": f"{at}/mcp", "cache": {"tools": ["kept"], "ttl": 3600}},
        "pipe": {"command": pipe[0], "args": pipe[1:], "env": {"PYTHONPATH": str(SCRIPTS)}},
        **{_few(number): {"url": f"{at}/{_few(number)}/mcp"} for number in range(MANY // FEW)},
    }
    return {"mcpServers": servers, "server": {"fast_lane": lane}}


def _few(number: int) -> str:
    """A server with a few tools."""
    return f"s{number:02d}"


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def nginx_version() -> str:
    run = subprocess.run([_nginx() or "nginx", "-v"], capture_output=True, text=True, check=True)  # noqa: S603 - ours
    return f"nginx {run.stderr.strip().rpartition('/')[2]}"


def peer_version(python: Path, package: str) -> str:
    code = f"import importlib.metadata as m; print(m.version({package!r}))"
    run = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603 - as given
    return run.stdout.strip()


def _nginx() -> str | None:
    return shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:{_NGINX_FOLDERS}")


def _is_wanted(name: str, arguments: argparse.Namespace) -> bool:
    if arguments.targets is not None:
        return name in arguments.targets
    return not arguments.quick or name in ("floor", "ours")


def _module(name: str, *parts: str) -> list[str]:
    return [sys.executable, "-m", f"benchmarks.relay.{name}", *parts]


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


@contextmanager
def _process(command: list[str], log: Path, env: dict[str, str] | None = None) -> Iterator[int]:
    """Its pid; it is ended with the block. What it says is in the log."""
    environment = {**os.environ, "PYTHONPATH": str(SCRIPTS), **(env or {})}
    with log.open("wb") as said:
        child = subprocess.Popen(command, stdout=said, stderr=said, stdin=subprocess.DEVNULL, env=environment)  # noqa: S603 - ours
        try:
            yield child.pid
        except Exception as failure:
            failure.add_note(f"{log.stem}: {log.read_text(errors='replace')[-2000:]}")
            raise
        finally:
            child.terminate()
            try:
                child.wait(15)
            except subprocess.TimeoutExpired:
                child.kill()


def _await_port(port: int) -> None:
    """Raises TimeoutError."""
    until_s = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < until_s:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise TimeoutError(f"nothing listens on port {port}")
