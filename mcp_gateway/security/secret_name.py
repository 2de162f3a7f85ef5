"""What a stored secret may be called."""

from __future__ import annotations

import re
from typing import Final

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")

NAME_RULE: Final = "letters, digits, '_', '-' and '.' only, at most 128 of them"
"""For messages; a name starts with none of the last two. Our choice: it needs no quotes in a shell or in YAML."""


def is_secret_name(text: str) -> bool:
    return _NAME.fullmatch(text) is not None
