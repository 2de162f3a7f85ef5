"""What counts as a changed definition, and what approving does."""

from __future__ import annotations

from typing import Any

import pytest
from mcp_gateway.security.pins import (
    FIELDS,
    UNKNOWN,
    Act,
    Book,
    Change,
    Record,
    Seen,
    Verdict,
    apply,
    changed_fields,
    digest,
)
from msgspec import Raw

from tests.security.definitions import FULL, fields, offered

OLD = Seen.of(offered(), 1.0)
NEW = Seen.of(offered(description="Sends it to me."), 2.0)


def change(act: Act, seen: Seen) -> Change:
    return Change(act, "up", "echo", seen)


@pytest.mark.parametrize("field", FIELDS)
def test_one_byte_of_any_field_is_another_definition(field: str) -> None:
    value = FULL[field]
    other = value + "." if isinstance(value, str) else {**value, ".": 0}
    assert digest(fields({**FULL, field: other})) != digest(fields(FULL))
    assert changed_fields(FULL, {**FULL, field: other}) == (field,)


@pytest.mark.parametrize("field", FIELDS)
def test_a_field_that_goes_is_a_change(field: str) -> None:
    less = {name: value for name, value in FULL.items() if name != field}
    assert digest(fields(less)) != digest(fields(FULL))


def test_order_spaces_and_escapes_are_no_change() -> None:
    plain = {"name": Raw(b'"a"'), "inputSchema": Raw('{"type":"object","title":"é"}'.encode())}
    respelt = {"inputSchema": Raw(b'{ "title" : "\\u00e9", "type":"object" }'), "name": Raw(b' "\\u0061"')}
    assert digest(plain) == digest(respelt)


@pytest.mark.parametrize("more", [{"_meta": {"at": "now"}}, {"icons": []}, {"x-vendor": 1}])
def test_what_nobody_acts_on_does_not_count(more: dict[str, Any]) -> None:
    assert digest(fields({**FULL, **more})) == digest(fields(FULL))


def test_a_seen_definition_is_kept_as_far_as_it_counts() -> None:
    assert Seen.of(offered(_meta={"at": "now"}), 1.0).decoded() == FULL


def test_verdicts() -> None:
    assert UNKNOWN.verdict(OLD.digest) is Verdict.NEW
    assert Record(OLD).verdict(OLD.digest) is Verdict.PINNED
    assert Record(OLD).verdict(NEW.digest) is Verdict.CHANGED


@pytest.mark.parametrize(
    ("before", "act", "seen", "after"),
    [
        (UNKNOWN, Act.PIN, OLD, Record(OLD)),
        (Record(OLD), Act.PIN, NEW, Record(OLD)),
        (UNKNOWN, Act.WITHHOLD, OLD, Record(None, OLD)),
        (Record(OLD), Act.WITHHOLD, NEW, Record(OLD, NEW)),
        (Record(OLD, NEW), Act.WITHHOLD, OLD, Record(OLD)),
        (Record(OLD), Act.WITHHOLD, OLD, Record(OLD)),
        (Record(OLD, NEW), Act.APPROVE, NEW, Record(NEW)),
        (Record(OLD), Act.APPROVE, NEW, Record(NEW)),
    ],
)
def test_what_each_act_leaves(before: Record, act: Act, seen: Seen, after: Record) -> None:
    assert change(act, seen).applied(before) == after


def test_a_book_tells_whether_it_was_changed() -> None:
    book: Book = {}
    assert apply(book, [change(Act.PIN, OLD)])
    assert not apply(book, [change(Act.PIN, NEW), change(Act.WITHHOLD, OLD)])
    assert book == {"up": {"echo": Record(OLD)}}
