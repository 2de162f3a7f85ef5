"""Where the optional parts of the tests are; the scripts beside this file install them.

Nothing is installed from here: a part that is missing skips its tests, or fails them
where every part is wanted.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from mcp_gateway.sandbox import Container

from tests.support import require

HERE = Path(__file__).parent


def _folder(script: str) -> Path:
    """Where a setup script has installed its part."""
    done = subprocess.run([HERE / script, "--where"], capture_output=True, text=True, check=False)
    require(done.returncode == 0, f"not installed: run tests/setup/{script}")
    return Path(done.stdout.strip())


def node_folder() -> Path:
    return _folder("node.sh")


def conformance_command() -> list[str]:
    """The public conformance suite, without its own arguments."""
    folder = _folder("conformance.sh")
    return [str(folder / "node"), str(folder / "node_modules/@modelcontextprotocol/conformance/dist/index.js")]


def python_sdk_1() -> Path:
    """The interpreter of the version 1 SDK's environment."""
    return _folder("python_sdk_1.sh") / "bin/python"


def llama_cpp() -> Path:
    """The interpreter of llama.cpp's environment."""
    return _folder("llama_cpp.sh") / "bin/python"


def node_server(package: str) -> list[str]:
    """The command of a server published by the protocol's maintainers on npm, without its own arguments."""
    folder = node_folder()
    return [str(folder / "bin/node"), str(folder / "node_modules/@modelcontextprotocol" / package / "dist/index.js")]


def python_server(name: str) -> list[str]:
    """The command of a server installed beside the tests."""
    program = Path(sys.executable).with_name(name)
    require(program.exists(), f"not installed: {name}, a test dependency")
    return [str(program)]


def container(image: str = "system") -> Container:
    """A container of the tests' own engine: `system` has the host's /usr, `busybox` has programs of its own."""
    folder = _folder("container.sh")
    options = ("--mount=type=bind,source=/usr,target=/usr,readonly",) if image == "system" else ()
    return Container((folder / image).read_text().strip(), str(folder / "engine"), options)
