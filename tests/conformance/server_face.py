"""The fixture, measured three ways: directly, through a gateway, and through one that opens with `initialize`."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import Enum
from pathlib import Path

from tests.conformance.suite import REVISIONS, Outcomes, run_server_scenarios
from tests.gateway import Gateway


class Way(Enum):
    """How the suite reaches the fixture."""

    DIRECT = "direct"
    THROUGH = "through the gateway"
    HANDSHAKE = "through the gateway, to a server before 2026-07-28"


Measured = Mapping[str, Mapping[Way, Outcomes]]
"""By revision."""


def measure(folder: Path) -> Measured:
    """Run every scenario of every revision every way; everything written goes below `folder`."""
    with (
        fixture_server() as fixture,
        in_front_of(fixture, "auto", folder / "gateway") as through,
        in_front_of(fixture, "legacy", folder / "handshake") as handshake,
    ):
        urls = {Way.DIRECT: fixture, Way.THROUGH: through, Way.HANDSHAKE: handshake}
        return {
            revision: {
                way: run_server_scenarios(url, revision, folder / "results" / way.name / revision)
                for way, url in urls.items()
            }
            for revision in REVISIONS
        }


@contextmanager
def in_front_of(fixture: str, era: str, folder: Path) -> Iterator[str]:
    """A gateway whose one server keeps its names."""
    entry = {"url": fixture, "era": era}
    with Gateway(folder, {"mcpServers": {"fixture": entry}, "expose": {"prefix": "never", "mode": "all"}}) as gateway:
        gateway.wait_for_servers()
        yield local(gateway.url)


@contextmanager
def fixture_server() -> Iterator[str]:
    """The fixture in a process of its own."""
    command = [sys.executable, "-W", "ignore", "-m", "tests.fakes.conformance_server"]
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield f"{local(process.stdout.readline().strip())}/mcp"
        finally:
            process.kill()


def local(url: str) -> str:
    """`dns-rebinding-protection` wants a server whose name says that it is local."""
    return url.replace("127.0.0.1", "localhost")
