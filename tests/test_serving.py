"""How a serving gateway begins and ends, seen from outside the process."""

from __future__ import annotations

import json
import signal
import socket
import stat
import sys
import threading
import time
from contextlib import closing
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, Never

import pytest

from tests import fakes
from tests.gateway import Gateway
from tests.interaction.house import FEW_BUILTINS
from tests.interaction.posting import HEADERS, opening

EVERYTHING = Path(fakes.__file__).with_name("everything.py")
CONFIG = {
    "mcpServers": {"up": {"command": sys.executable, "args": [str(EVERYTHING), "--legacy"], "era": "legacy"}},
    "tools": FEW_BUILTINS,
}


def post(gateway: Gateway, method: str, params: dict[str, Any], session: str = "") -> tuple[str, bytes]:
    """One request of a legacy session: the session's id and the whole response."""
    host, port = gateway.origin.removeprefix("http://").split(":")
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    with closing(HTTPConnection(host, int(port), timeout=20)) as connection:
        connection.request("POST", "/mcp", json.dumps(body), HEADERS | ({"Mcp-Session-Id": session} if session else {}))
        with connection.getresponse() as response:
            return response.headers["Mcp-Session-Id"], response.read()


class InFlight:
    """A call that takes `seconds`, on its way in a thread of its own."""

    def __init__(self, gateway: Gateway, seconds: float) -> None:
        self.body = b""
        session, _ = post(gateway, "initialize", opening())
        call = {"name": "up__wait", "arguments": {"seconds": seconds}}
        self._thread = threading.Thread(target=self._read, args=(gateway, call, session))
        self._thread.start()
        while gateway.get_json("/api/v1/status")["in_flight"] != 1:
            time.sleep(0.02)  # the status announces nothing

    def _read(self, gateway: Gateway, call: dict[str, Any], session: str) -> None:
        try:
            _, self.body = post(gateway, "tools/call", call, session)
        except (OSError, HTTPException):  # the connection was cut, which a second signal may do
            self.body = b"cut"

    def answer(self) -> bytes:
        self._thread.join(20)
        return self.body


def test_sigterm_lets_a_call_in_flight_finish_and_ends_idle_streams(tmp_path: Path) -> None:
    with Gateway(tmp_path, CONFIG) as gateway:
        gateway.wait_for_servers()
        host, port = gateway.origin.removeprefix("http://").split(":")
        idle = HTTPConnection(host, int(port), timeout=20)
        idle.request("GET", "/sse", headers={"Accept": "text/event-stream"})
        stream = idle.getresponse()
        call = InFlight(gateway, 1.0)
        began_s = time.monotonic()
        gateway.signal(signal.SIGTERM)

        assert b"waited" in call.answer()
        assert gateway.wait() == 0
        assert time.monotonic() - began_s < 5
        stream.close()
        idle.close()


def test_a_second_sigterm_ends_at_once(tmp_path: Path) -> None:
    with Gateway(tmp_path, CONFIG) as gateway:
        gateway.wait_for_servers()
        call = InFlight(gateway, 60)
        gateway.signal(signal.SIGTERM)
        while "app.stopping" not in gateway.log:
            time.sleep(0.02)  # a log announces nothing
        began_s = time.monotonic()
        gateway.signal(signal.SIGTERM)

        gateway.wait()
        assert time.monotonic() - began_s < 4
        assert b"waited" not in call.answer()


def connect_until_refused(address: tuple[str, int]) -> Never:
    """The listening socket is closed in a later turn of the loop than the one that tells of the end."""
    while True:
        socket.create_connection(address, timeout=5).close()


def test_while_it_drains_nobody_new_comes_in(tmp_path: Path) -> None:
    with Gateway(tmp_path, CONFIG) as gateway:
        gateway.wait_for_servers()
        call = InFlight(gateway, 1.5)
        gateway.signal(signal.SIGTERM)
        while "app.stopping" not in gateway.log:
            time.sleep(0.02)  # a log announces nothing
        host, port = gateway.origin.removeprefix("http://").split(":")
        with pytest.raises(ConnectionRefusedError):
            connect_until_refused((host, int(port)))
        assert b"waited" in call.answer()


def test_the_run_file_is_there_while_it_serves_and_only_for_its_owner(tmp_path: Path) -> None:
    with Gateway(tmp_path, {"mcpServers": {}, "tools": FEW_BUILTINS}) as gateway:
        (file,) = (tmp_path / "home").rglob("run/*.json")
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert json.loads(file.read_text())["url"] == gateway.origin
        assert json.loads(file.read_text())["pid"] == gateway.pid
    assert not file.exists()
