"""What clients say they can do, and what an upstream may therefore ask them.

Capabilities as declared and a question enter; a refusal leaves, or nothing. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from mcp_gateway.errors import METHOD_NOT_FOUND, RpcError
from mcp_gateway.wire import Malformed, Raw, RawParams, loads

NEEDS: Final[Mapping[str, str]] = {
    "sampling/createMessage": "sampling",
    "elicitation/create": "elicitation",
    "roots/list": "roots",
}
"""Question -> the capability without which no client may be asked it (2025-11-25, basic/lifecycle)."""


def check_askable(method: str, params: RawParams, capabilities: Any) -> None:
    """Raises RpcError when a client that declared `capabilities` must not be asked this."""
    if (missing := lacking(method, params, capabilities)) is not None:
        raise RpcError.of(METHOD_NOT_FOUND, f"declined: the client did not declare {missing}")


def lacking(method: str, params: RawParams, capabilities: Any) -> str | None:
    """The capability that a question needs and the client lacks; None when it may be asked.

    1. each question needs its capability; 2. a page to be opened needs `elicitation.url`, a form needs
    `elicitation.form` or an `elicitation` that names no mode (2025-11-25, client/elicitation); 3. sampling with tools
    needs `sampling.tools` (2025-11-25, client/sampling).
    """
    needed = NEEDS.get(method)
    if needed is None:
        return None
    declared = capabilities.get(needed) if isinstance(capabilities, Mapping) else None
    if not isinstance(declared, Mapping):
        return needed
    if needed == "elicitation":
        mode = "url" if _plain(params.get("mode")) == "url" else "form"
        shown = mode in declared or (mode == "form" and "url" not in declared)
        return None if shown else f"elicitation.{mode}"
    wants_tools = needed == "sampling" and ("tools" in params or "toolChoice" in params)
    return "sampling.tools" if wants_tools and "tools" not in declared else None


def _plain(value: Any) -> Any:
    try:
        return loads(value) if isinstance(value, Raw) else value
    except Malformed:
        return None
