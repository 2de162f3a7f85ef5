"""Types of optional fields."""

from __future__ import annotations

import pytest
from mcp_gateway.catalog import Kind
from mcp_gateway.catalog.shapes import ARGUMENTS, OPTIONAL, fits
from mcp_gateway.wire import Raw


@pytest.mark.parametrize(
    ("kind", "field", "good", "bad"),
    [
        (Kind.TOOL, "annotations", b'{"readOnlyHint":true,"vendor":1}', b'{"readOnlyHint":1}'),
        (Kind.TOOL, "icons", b'[{"src":"x","theme":"dark"}]', b'[{"src":1}]'),
        (Kind.PROMPT, "title", b'"t"', b"null"),
        (Kind.RESOURCE, "size", b"7", b'"7"'),
        (Kind.TEMPLATE, "mimeType", b'"a/b"', b"[]"),
    ],
)
def test_a_field_fits_or_does_not(kind: Kind, field: str, good: bytes, bad: bytes) -> None:
    assert fits(OPTIONAL[kind][field], Raw(good))
    assert not fits(OPTIONAL[kind][field], Raw(bad))


def test_bytes_that_are_no_text_do_not_fit() -> None:
    assert not fits(OPTIONAL[Kind.TOOL]["title"], Raw(b'"\xff"'))


def test_arguments_need_a_name() -> None:
    assert fits(ARGUMENTS, Raw(b'[{"name":"a","required":true}]'))
    assert not fits(ARGUMENTS, Raw(b'[{"required":true}]'))
