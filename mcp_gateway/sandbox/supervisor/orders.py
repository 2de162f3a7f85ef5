"""What the supervisor is told from outside: the run, on standard input, and to stop, by a signal."""

from __future__ import annotations

import os
import signal

from .spec import Spec, parse

_STOPPED_EARLY = 125


def stop_requests() -> int:
    """A descriptor that becomes readable when we are told to stop."""
    stopped, wakeup = os.pipe()
    os.set_blocking(wakeup, False)
    signal.set_wakeup_fd(wakeup)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    return stopped


def receive() -> tuple[Spec, bytes]:
    """The spec, a line, and the program's standard input behind it."""
    received = bytearray()
    while b"\n" not in received:
        received += _more()
    line, _, rest = bytes(received).partition(b"\n")
    spec = parse(line)
    stdin = bytearray(rest)
    while len(stdin) < spec.stdin_bytes:
        stdin += _more()
    return spec, bytes(stdin)


def _more() -> bytes:
    chunk = os.read(0, 1 << 20)
    if not chunk:
        os._exit(_STOPPED_EARLY)  # whoever ordered the run is gone, and nothing has been started
    return chunk
