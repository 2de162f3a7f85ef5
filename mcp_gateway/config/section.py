"""The model that all parts of the configuration share."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field


class Section(BaseModel):
    """A frozen group of settings that refuses unknown keys.

    `repr` and `str` name the settings that were written and show no value: any
    text of a configuration may hold a secret.
    """

    also: ClassVar[frozenset[str]] = frozenset()
    """Other spellings of its keys, which are gone before the model sees them."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, defer_build=True)

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        return [("set", sorted(self.model_fields_set))]


def group(description: str) -> Any:
    """A field that holds another section, which is filled with its defaults when the file does not write it.

    The default is validated, so that relative paths in it start at the configuration file.
    """
    return Field(default={}, validate_default=True, description=description)
