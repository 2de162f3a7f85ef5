"""What one `ask` may cost. Plain values; the loop enforces them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

BYTES_PER_TOKEN: Final = 4
"""A rough count for services that do not tell, and for what is about to be sent (hosts facts, tokens)."""

TURN_TOKENS: Final = 8192
"""The longest single turn asked for (our choice: reasoning models think within it)."""

RESERVE_SHARE: Final = 0.2
RESERVE_AT_MOST_S: Final = 15.0
"""Time kept back for a last answer from what is there (our choice)."""


class StopReason(StrEnum):
    """Why an ask ended."""

    COMPLETED = "completed"
    MAX_ROUNDS = "max_rounds"
    MAX_TOOL_CALLS = "max_tool_calls"
    MAX_TOKENS = "max_tokens"
    MAX_BYTES = "max_bytes"
    REPEATED_CALLS = "repeated_calls"
    DEADLINE = "deadline"
    DENIED = "denied"
    LLM_ERROR = "llm_error"


class Confirm(StrEnum):
    """Which calls have to be confirmed by a person (`tools.ask.confirm`)."""

    DESTRUCTIVE = "destructive"
    WRITES = "writes"
    NEVER = "never"


class Approval(StrEnum):
    """What happens to a call that has to be confirmed: the person is asked, it is denied, or it is made."""

    ASK = "ask"
    DENY = "deny"
    AUTO = "auto"


@dataclass(frozen=True, slots=True)
class Bounds:
    """`max_bytes` is of all tool results together as the model sees them, `max_result_chars` of one."""

    max_rounds: int = 6
    max_tool_calls: int = 24
    max_tokens: int = 20_000
    max_bytes: int = 256 * 1024
    max_result_chars: int = 16_384
    turn_s: float = 60.0
    tool_s: float = 60.0
    at_once: int = 8
    candidates: int = 12
    max_forms: int = 3
    """Confirmations asked of the person; later calls that need one are denied (our choice: nobody reads the fourth)."""
