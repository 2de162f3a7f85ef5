"""What is wrong with data from outside, in words that quote none of it."""

from __future__ import annotations

from typing import Any

import pytest
from mcp_gateway.validation import reasons
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")
    word: str = ""


class Given(BaseModel):
    """What a test gives."""

    model_config = ConfigDict(extra="forbid")

    count: int = 0
    inner: list[Inner] = Field(default_factory=list)

    @model_validator(mode="after")
    def _not_nine(self) -> Given:
        if self.count == 9:
            raise ValueError("nine is taken")
        return self


class Empty(BaseModel):
    model_config = ConfigDict(extra="forbid")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"cuont": 1}, "unknown member 'cuont', did you mean 'count'?"),
        ({"zzz": 1}, "unknown member 'zzz', known: count, inner"),
        ({"inner": [{"wrod": "s3cret"}]}, "unknown member 'inner.0.wrod'"),
        ({"count": 9}, "members: nine is taken"),
        ([], "members: Input should be a valid dictionary or instance of Given"),
    ],
)
def test_each_fault_has_its_place_and_its_remedy(given: Any, told: str) -> None:
    with pytest.raises(ValidationError) as invalid:
        Given.model_validate(given)
    assert reasons(invalid.value, Given, noun="member") == told


def test_values_are_not_quoted() -> None:
    with pytest.raises(ValidationError) as invalid:
        Given.model_validate({"count": "s3cret"})
    assert "s3cret" not in reasons(invalid.value, Given, noun="member")


def test_a_model_without_fields_knows_none() -> None:
    with pytest.raises(ValidationError) as invalid:
        Empty.model_validate({"command": "sh"})
    assert reasons(invalid.value, Empty, noun="member") == "unknown member 'command', known: none"
