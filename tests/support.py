"""What a test says when a part it needs is not there."""

from __future__ import annotations

import os

import pytest

REQUIRE_ALL = "MCP_GATEWAY_REQUIRE_ALL"
"""Set to 1 where every optional part is installed: a missing one then fails instead of skipping."""


def require(condition: bool, reason: str) -> None:
    """Skip unless `condition`; `reason` tells what is missing and how to get it."""
    if condition:
        return
    if os.environ.get(REQUIRE_ALL) == "1":
        pytest.fail(f"required: {reason}")
    pytest.skip(reason)
