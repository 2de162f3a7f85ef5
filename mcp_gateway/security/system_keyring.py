"""The system's keyring, where the extra `keyring` is installed and a store answers.

The name of an entry enters, its text leaves. Without the package or a store nothing is found and nothing is taken.
"""

from __future__ import annotations

import logging
from importlib.util import find_spec
from typing import Final

logger = logging.getLogger(__name__)

SERVICE: Final = "mcp-gateway"


def is_installed() -> bool:
    return find_spec("keyring") is not None


def read(entry: str) -> str | None:
    """The text of an entry; None when there is none, or nobody can tell."""
    if not is_installed():
        return None
    import keyring

    try:
        return keyring.get_password(SERVICE, entry)
    except Exception as silent:  # boundary: back ends raise errors of their own libraries; a locked store is none
        logger.debug("keyring.unread reason=%s", type(silent).__name__)
        return None


def write(entry: str, text: str) -> bool:
    """Whether the store has the text now; some back ends accept everything and keep nothing."""
    if not is_installed():
        return False
    import keyring

    try:
        keyring.set_password(SERVICE, entry, text)
    except Exception as refused:  # boundary: as above
        logger.debug("keyring.unwritten reason=%s", type(refused).__name__)
        return False
    return read(entry) == text
