"""Whether gateways under test use the fast lane: the whole suite runs with it, and without it where this says so."""

from __future__ import annotations

import os

VARIABLE = "MCP_GATEWAY_TEST_LANE"
"""Set to `off`, the SDK's transport answers every request."""

FAST_LANE = os.environ.get(VARIABLE) != "off"
