"""Python classes of the operator's own, which a setting names as `package.module:Class`."""

from __future__ import annotations

from pkgutil import resolve_name
from typing import TypeVar

from mcp_gateway.errors import BadConfig

T = TypeVar("T")


def subclass(setting: str, path: str, base: type[T]) -> type[T]:
    """The subclass of `base` that `path` names; its module is imported. Raises BadConfig, with the setting."""
    if ":" not in path:
        raise BadConfig(f"{setting} {path!r}: expected 'package.module:Class'")
    try:
        found = resolve_name(path)
    except (ImportError, AttributeError, TypeError, ValueError) as missing:
        raise BadConfig(f"{setting} {path!r} cannot be loaded: {missing}") from missing
    if not (isinstance(found, type) and issubclass(found, base)):
        raise BadConfig(f"{setting} {path!r} is not a subclass of {base.__module__}.{base.__qualname__}")
    return found
