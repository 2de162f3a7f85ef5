"""The error body, as every test of REST reads it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import httpx2


def failure(response: httpx2.Response) -> tuple[int, Any]:
    """Status and details of an error body, which has its three members and no more."""
    body = response.json()
    assert body.keys() == {"error", "timestamp", "details"}
    assert datetime.fromisoformat(body["timestamp"]).tzinfo is not None
    return response.status_code, body["details"]


def code(response: httpx2.Response) -> tuple[int, str]:
    """Status and stable code of an error body."""
    status, details = failure(response)
    return status, details["code"]
