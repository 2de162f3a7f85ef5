"""Names of container images. Pure."""

from __future__ import annotations

import re

_PINNED = re.compile(r"([a-z0-9][\w.:/-]*@)?sha256:[0-9a-f]{64}", re.ASCII)
"""`NAME@DIGEST`, or an image id, which is a digest too (OCI image specification, descriptor)."""


def is_pinned(image: str) -> bool:
    """Whether the name can only ever mean one image."""
    return _PINNED.fullmatch(image) is not None
