"""Measures and writes the table into `docs/compatibility.md`; `scripts/compatibility` runs this."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.conformance.server_face import measure
from tests.conformance.table import MANUAL, render, write

with tempfile.TemporaryDirectory() as folder:
    table = render(measure(Path(folder)))
write(table)
sys.stdout.write(f"{table}\n\nwritten to {MANUAL.name}\n")
