"""Classes that a setting names by dotted path."""

from __future__ import annotations

from json import JSONEncoder

import pytest
from mcp_gateway.config.dotted import subclass
from mcp_gateway.errors import BadConfig


class Own(JSONEncoder):
    """A subclass of a class that stands elsewhere."""


def test_a_subclass_is_found_by_its_path() -> None:
    assert subclass("a.b", "tests.config.test_dotted:Own", JSONEncoder) is Own


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("", "expected 'package.module:Class'"),
        ("os", "expected 'package.module:Class'"),
        (":x", "cannot be loaded: "),
        ("no_such_module:X", "cannot be loaded: No module named 'no_such_module'"),
        ("tests.config.test_dotted:Nothing", "cannot be loaded: module"),
        ("..:X", "cannot be loaded: "),
        ("os:path", "is not a subclass of json.encoder.JSONEncoder"),
        ("pathlib:Path", "is not a subclass of json.encoder.JSONEncoder"),
    ],
)
def test_a_path_that_leads_nowhere_is_told_with_its_setting(path: str, reason: str) -> None:
    with pytest.raises(BadConfig) as refused:
        subclass("a.b", path, JSONEncoder)
    assert refused.value.message.startswith(f"a.b {path!r}")
    assert reason in refused.value.message
