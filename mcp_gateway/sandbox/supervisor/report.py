"""The supervisor's voice: lines of JSON on standard output, sentences on standard error."""

from __future__ import annotations

import json
import os
from contextlib import suppress


def send(message: dict[str, object], *bodies: bytes) -> None:
    data = b"".join((json.dumps(message).encode(), b"\n", *bodies))
    while data:
        try:
            data = data[os.write(1, data) :]
        except BrokenPipeError:
            return  # nobody waits for it any more


def say(line: str) -> None:
    with suppress(OSError):  # there may be nowhere left to say it
        os.write(2, line.encode("utf-8", "replace") + b"\n")
