"""Paths that want out: at every place that takes one they are refused, and nothing outside is read (R-PATH-1)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp_gateway.builtin.roots import file_below, folder_below
from mcp_gateway.errors import InvalidParams

from tests.interaction.house import FEW_BUILTINS, House, house
from tests.interaction.posting import Session
from tests.interaction.requirements import shows

CANARY = "canary-7f3a"
PASSWD = "root:"
TARGETS = ["etc/passwd", "outside/secret.py"]

CLIMBS = [
    "../",
    "../../../../../../../../../../",
    "..\\",
    "..\\..\\..\\..\\",
    "%2e%2e/",
    "%2e%2e%2f%2e%2e%2f",
    "..%2f..%2f",
    "..%5c..%5c",
    "%252e%252e%252f",
    "..%252f",
    "..%c0%af",
    "%c0%ae%c0%ae/",
    "..;/",
    "....//....//",
    "./../",
    "a/../../",
    "..//",
    "/../",
    "//",
    "///../",
    ".%00./",
    "..%00/",
    "%uff0e%uff0e/",
    "\uff0e\uff0e/",
    "\u2025/",
    "%e2%80%a5/",
]
WHOLE = [
    "/etc/passwd",
    "//etc/passwd",
    "file:///etc/passwd",
    "file://localhost/etc/passwd",
    "FILE:///etc/passwd",
    "/proc/self/environ",
    "/proc/self/root/etc/passwd",
    "/dev/fd/0",
    "~/.ssh/id_rsa",
    "~root/.profile",
    "$HOME/.ssh/id_rsa",
    "${HOME}",
    "C:\\Windows\\win.ini",
    "\\\\server\\share\\x",
    "\\\\?\\C:\\x",
    "C:/Windows/win.ini",
    "CON",
    "link/secret.py",
    "link",
    "link/",
    "up",
    "..",
    "",
    "/",
    "\x00",
    "ok.py\x00.txt",
    "ok.py%00",
    "a" * 5000,
    "a/" * 3000,
    "../" * 2000 + "etc/passwd",
]
PAYLOADS = [climb + target for climb in CLIMBS for target in TARGETS] + WHOLE


FOUND = [("up", b"/api/v1/servers/%s"), ("", b"/api/v1/servers/%s")]
"""Where the rest of the path is a name that there is."""


@pytest.fixture
def inside(tmp_path: Path) -> Path:
    """A folder with one file, a link out of it, and what is outside."""
    folder, outside = tmp_path / "inside", tmp_path / "outside"
    folder.mkdir()
    outside.mkdir()
    (outside / "secret.py").write_text(f"{CANARY.replace('-', '_')} = '{CANARY}'\n")
    (folder / "ok.py").write_text("def found():\n    return 1\n")
    (folder / "link").symlink_to(outside)
    return folder


def in_request_line(text: str) -> bytes:
    """As raw as HTTP allows: only what would end the request line is encoded."""
    return b"".join(b"%%%02x" % byte if byte <= 32 or byte == 127 else bytes([byte]) for byte in text.encode())


async def raw(home: House, verb: bytes, path: bytes) -> tuple[int, bytes]:
    """Status and everything else, without a client library that would tidy the path."""
    host, port = home.origin.removeprefix("http://").split(":")
    content = b'{"arguments":{}}'
    head = b"%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n" % (
        verb,
        path,
    )
    response = b""
    with anyio.fail_after(5):
        async with await anyio.connect_tcp(host, int(port)) as stream:
            await stream.send(head + b"Content-Length: %d\r\n\r\n%s" % (len(content), content))
            while True:
                try:
                    response += await stream.receive()
                except (anyio.EndOfStream, anyio.BrokenResourceError):
                    return int(response.split()[1]), response


@shows("paths")
async def test_r_path_1_paths_of_the_doors(tmp_path: Path) -> None:
    doors = {
        b"/api/v1/servers/%s": b"GET",
        b"/api/v1/tools/%s/call": b"POST",
        b"/mcp/%s": b"POST",
        b"/messages/%s": b"POST",
        b"/%s": b"GET",
    }
    async with house(tmp_path) as home:
        for payload in PAYLOADS:
            for door, verb in doors.items():
                status, response = await raw(home, verb, door % in_request_line(payload))
                if status == 307:  # without the slash at the end
                    assert b"\r\nlocation: http://localhost/" in response, (door, payload)
                elif (payload, door) not in FOUND:
                    assert 400 <= status < 500, (door, payload, status)
                assert PASSWD.encode() not in response, (door, payload)


@shows("paths")
async def test_r_path_1_uris_of_resources(tmp_path: Path, inside: Path) -> None:
    """What an upstream offers is asked of it as it is written; nothing is opened here."""
    async with house(tmp_path / "home") as home, Session(home.url) as session:
        for number, payload in enumerate(PAYLOADS, start=1):
            for uri in (payload, f"file://{payload}", f"test://static/{payload}"):
                answer = json.dumps(await session.ask(number, "resources/read", {"uri": uri}))
                assert CANARY not in answer, uri
                assert PASSWD not in answer, uri
                assert '"error"' in answer, uri


@shows("paths")
async def test_r_path_1_files_to_analyze(tmp_path: Path, inside: Path) -> None:
    tools: dict[str, Any] = {**FEW_BUILTINS, "analyze_code": {"enabled": True, "roots": [str(inside)]}}
    async with house(tmp_path / "home", tools=tools) as home, Session(home.url) as session:
        call = {"name": "analyze_code", "arguments": {"path": "ok.py"}}
        assert "found" in json.dumps(await session.ask(0, "tools/call", call))
        for number, payload in enumerate(PAYLOADS, start=1):
            call = {"name": "analyze_code", "arguments": {"path": payload}}
            answer = await session.ask(number, "tools/call", call)
            assert CANARY not in json.dumps(answer), payload
            assert PASSWD not in json.dumps(answer), payload
            assert "error" in answer or answer["result"]["isError"], payload


def a_file(text: str, roots: list[Path], setting: str) -> bytes:
    return file_below(text, roots, setting, max_bytes=1000)


@pytest.mark.parametrize("place", [folder_below, a_file])
@shows("paths")
def test_r_path_1_folders_to_work_in(inside: Path, place: Any) -> None:
    """The rule of `execute`'s workdir and of every file that is read for a caller."""
    refused = 0
    for payload in PAYLOADS:
        with pytest.raises(InvalidParams):
            place(payload, [inside], "tools.execute.workdirs")
        refused += 1
    assert refused == len(PAYLOADS) > 60
