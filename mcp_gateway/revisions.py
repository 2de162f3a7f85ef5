"""Pure tables: what each protocol revision has, names and forbids.

Nothing here knows a connection. *Legacy* revisions open with `initialize`;
*modern* ones carry an envelope in every request's `_meta`
(specification 2026-07-28, basic/versioning).
"""

from __future__ import annotations

from typing import Final

LEGACY: Final = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
MODERN: Final = ("2026-07-28",)
LATEST_LEGACY: Final = LEGACY[-1]
LATEST_MODERN: Final = MODERN[-1]

# Reserved `_meta` keys of the modern envelope (2026-07-28, basic/index#_meta).
PREFIX: Final = "io.modelcontextprotocol/"
PROTOCOL_VERSION: Final = PREFIX + "protocolVersion"
CLIENT_INFO: Final = PREFIX + "clientInfo"
CLIENT_CAPABILITIES: Final = PREFIX + "clientCapabilities"
SERVER_INFO: Final = PREFIX + "serverInfo"
LOG_LEVEL: Final = PREFIX + "logLevel"
SUBSCRIPTION_ID: Final = PREFIX + "subscriptionId"
ENVELOPE_KEYS: Final = frozenset(
    {PROTOCOL_VERSION, CLIENT_INFO, CLIENT_CAPABILITIES, SERVER_INFO, LOG_LEVEL, SUBSCRIPTION_ID}
)

UNSUPPORTED_PROTOCOL_VERSION: Final = -32022
MISSING_CLIENT_CAPABILITY: Final = -32021
HEADER_MISMATCH: Final = -32020
URL_ELICITATION_REQUIRED: Final = -32042
"""2025-11-25 only; never emitted on a modern wire."""

NAMED_BY: Final = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}
"""Method -> the param that `Mcp-Name` repeats (2026-07-28, streamable-http; SEP-2243)."""

ASKING: Final = frozenset(NAMED_BY)
"""Methods whose modern result may be `input_required` (2026-07-28, basic/patterns/mrtr)."""

CACHEABLE: Final = frozenset(
    {"server/discover", "tools/list", "prompts/list", "resources/list", "resources/templates/list", "resources/read"}
)
"""Results that must carry `ttlMs` and `cacheScope` on a modern wire (SEP-2549)."""

LOG_LEVELS: Final = ("debug", "info", "notice", "warning", "error", "critical", "alert", "emergency")
"""RFC 5424 severities, mildest first."""


def is_modern(revision: str) -> bool:
    return revision in MODERN


def at_least(revision: str, floor: str) -> bool:
    """Revisions are dates, so they compare as text."""
    return revision >= floor


CALLS: Final = frozenset(
    {
        "completion/complete",
        "logging/setLevel",
        "prompts/get",
        "resources/read",
        "resources/subscribe",
        "resources/unsubscribe",
        "tools/call",
    }
)
"""Methods of every revision that go through the gateway one by one; any other is a vendor's own."""
