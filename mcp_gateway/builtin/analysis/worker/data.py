"""JSON: it parses, or says where it does not."""

from __future__ import annotations

import json
from typing import Any


def read(task: dict[str, Any], code: str, report: dict[str, Any]) -> None:
    """Only the syntax is of interest. RecursionError reaches the caller."""
    try:
        json.loads(code, parse_int=str)
    except json.JSONDecodeError as error:
        problem = {"line": error.lineno, "column": error.colno, "end_line": None, "message": error.msg}
        report["syntax_errors"].append(problem)
