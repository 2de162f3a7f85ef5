"""A notification's params as plain data."""

from __future__ import annotations

import logging
from typing import Any

from mcp_gateway.wire import Malformed, RawParams, encode, loads

logger = logging.getLogger(__name__)


def plain(params: RawParams) -> dict[str, Any]:
    """Params as writers take them; a member that is not JSON is left out."""
    told: dict[str, Any] = {}
    for key, value in params.items():
        try:
            told[key] = loads(encode(value))
        except Malformed:
            logger.debug("params.member_dropped name=%s", key)
    return told
