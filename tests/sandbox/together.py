"""Several probes in one run, each as a program of its own: for a sandbox whose start costs more than they do."""

from __future__ import annotations

import base64
import json
from dataclasses import replace

from mcp_gateway.sandbox import Request

from .ground import LIMITS, SYSTEM_PYTHON, Ground, Result, Subject

_LIMITS = replace(LIMITS, wall_s=60.0, cpu_s=60.0, output_bytes=8 << 20)
_EACH_S = 4
_DRIVER = f"""
import base64, json, subprocess, sys
for code in json.load(sys.stdin):
    command = ["{SYSTEM_PYTHON}", "-I", "-c", code, sys.argv[1]]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout={_EACH_S})
        answer = done.returncode, done.stdout, done.stderr
    except subprocess.TimeoutExpired as late:
        answer = 124, late.stdout or b"", late.stderr or b""
    code, *streams = answer
    print(json.dumps([code, *(base64.b64encode(stream).decode() for stream in streams)]), flush=True)
"""


async def try_together(programs: list[str], subject: Subject, ground: Ground) -> list[Result]:
    """A result for each program. All of them share the run, so one that ends the run fails those behind it."""
    argv = (SYSTEM_PYTHON, "-I", "-c", _DRIVER, ground.targets())
    request = Request(argv, stdin=json.dumps(programs).encode(), workdir=str(ground.workdir))
    together = await subject.run(request, _LIMITS)
    lines = [json.loads(line) for line in together.stdout.splitlines()]
    assert len(lines) == len(programs), together
    return [
        Result(code, base64.b64decode(stdout), base64.b64decode(stderr), together.killed_by, together.duration_s)
        for code, stdout, stderr in lines
    ]
