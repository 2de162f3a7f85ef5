"""Which gateway a command talks to: the one that serves the same file, and no other."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from mcp_gateway.downstream.runfile import RunFile

from tests.cli.command import command, run, tool_box
from tests.gateway import Gateway, environment, write_config

ENDS_WITHIN_S = 5.0
"""A loaded machine, not a promise; the call itself takes ten minutes."""


def test_two_files_have_two_gateways(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    home = {"MCP_GATEWAY_HOME": str(tmp_path / "home")}
    with (
        Gateway(first, {"mcpServers": {"one": tool_box("kinds")}}, env=home),
        Gateway(second, {"mcpServers": {"two": tool_box("kinds")}}, env=home),
    ):
        names = [
            server["name"]
            for folder in (first, second)
            for server in run(folder, "status", "--json", **home).body["servers"]
        ]

    assert names == ["one", "two"]


def test_another_file_of_the_same_folder_is_not_served(served: Path) -> None:
    other = served / "other.yaml"
    other.write_text("{}")

    assert run(served, "-c", "other.yaml", "status").status == 69
    assert run(served, "-c", "./gateway.yaml", "status").status == 0


def test_the_run_file_is_private_and_goes_with_the_gateway(tmp_path: Path) -> None:
    with Gateway(tmp_path, {"mcpServers": {}}):
        files = list((tmp_path / "home" / "run").iterdir())
        modes = [file.stat().st_mode & 0o777 for file in files]

    assert modes == [0o600]
    assert not files[0].exists()


def test_a_run_file_of_a_dead_process_counts_as_none(tmp_path: Path) -> None:
    config = write_config(tmp_path, {"mcpServers": {"box": tool_box("kinds")}})
    with Gateway(tmp_path, {"mcpServers": {"box": tool_box("kinds")}}) as gateway:
        stale = RunFile(tmp_path / "home", config).path.read_bytes()
        assert json.loads(stale)["pid"] == gateway.pid
    RunFile(tmp_path / "home", config).path.write_bytes(stale)

    assert run(tmp_path, "status").status == 69
    assert run(tmp_path, "call", "box__kinds", "count=1").out == '{"count": 1}\n'


@pytest.mark.parametrize("content", ["", "{", "[]", '{"pid": 1}', '{"pid": "x", "url": 1, "token": null}'])
def test_a_run_file_that_is_none_counts_as_none(tmp_path: Path, content: str) -> None:
    config = write_config(tmp_path, {"mcpServers": {}})
    path = RunFile(tmp_path / "home", config).path
    path.parent.mkdir(parents=True)
    path.write_text(content)

    assert run(tmp_path, "status").status == 69


class Stranger(BaseHTTPRequestHandler):
    """Another program on the port of a gateway that has died; it answers everything with 200."""

    seen: list[str | None] = []  # noqa: RUF012 - one for all requests is what is wanted

    def do_GET(self) -> None:
        self.seen.append(self.headers.get("Authorization"))
        body = b"<html>hello</html>"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        return


def test_another_program_on_the_port_is_not_taken_for_a_gateway(tmp_path: Path) -> None:
    config = write_config(tmp_path, {"mcpServers": {}})
    with HTTPServer(("127.0.0.1", 0), Stranger) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        announced = {"pid": os.getpid(), "url": f"http://127.0.0.1:{server.server_port}", "token": "run-file-token"}
        path = RunFile(tmp_path / "home", config).path
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(announced))
        done = run(tmp_path, "status")
        server.shutdown()
        serving.join()

    assert done.status == 69
    assert Stranger.seen == [None], "and it is not shown the token"


def test_commands_find_a_gateway_under_a_base_path(tmp_path: Path) -> None:
    with Gateway(tmp_path, {"mcpServers": {"box": tool_box("kinds")}, "server": {"base_path": "/tools"}}):
        done = run(tmp_path, "call", "box__kinds", "count=1")
        assert run(tmp_path, "status").status == 0

    assert done.out == '{"count": 1}\n'


def test_ctrl_c_ends_a_call_over_the_running_gateway(served: Path) -> None:
    child = subprocess.Popen(
        command("call", "box__slow", "seconds=600"),
        preexec_fn=_obeying_interrupts,
        cwd=served,
        env=environment(served),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    _wait_for_call(served)
    child.send_signal(signal.SIGINT)
    began_s = time.monotonic()
    out, err = child.communicate(timeout=60)

    assert (child.returncode, out, err) == (130, b"", b"\n")
    assert time.monotonic() - began_s < ENDS_WITHIN_S
    _wait_for_call(served, in_flight=0)  # the server's call is cancelled with it


def _obeying_interrupts() -> None:
    """What a shell starts in the background ignores Ctrl-C, and so would what is tested there."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _wait_for_call(folder: Path, in_flight: int = 1) -> None:
    """Each look starts a process, so this asks about twice a second."""
    while run(folder, "status", "--json").body["servers"][0]["in_flight"] != in_flight:
        pass
