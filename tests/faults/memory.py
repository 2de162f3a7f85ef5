"""The most memory that a process has had in use since a moment, as Linux counts it (proc_pid_clear_refs(5))."""

from __future__ import annotations

import re
from pathlib import Path

_KIB_A_MIB = 1024
_RESET_PEAK = "5"


class PeakMemory:
    """The resident memory of one process of our own user."""

    def __init__(self, pid: int) -> None:
        self._process = Path("/proc") / str(pid)
        self.reset()

    def reset(self) -> None:
        (self._process / "clear_refs").write_text(_RESET_PEAK)
        self._before_kib = self._read("VmRSS")

    def grown_mib(self) -> float:
        """How far the peak since the last reset is above what was in use then."""
        return (self._read("VmHWM") - self._before_kib) / _KIB_A_MIB

    def _read(self, field: str) -> int:
        found = re.search(rf"^{field}:\s+(\d+) kB$", (self._process / "status").read_text(), re.MULTILINE)
        assert found is not None, f"no {field} in {self._process}/status"
        return int(found[1])
