"""RFC 6570 templates, matched backwards."""

from __future__ import annotations

import re
import time
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mcp_gateway.catalog.templates import MAX_EXPRESSIONS, MAX_URI_CHARS, UriTemplate, UriText


def matches(template: str, uri: str) -> bool:
    parsed = UriTemplate.parse(template)
    assert parsed is not None
    return parsed.matches(UriText(uri))


@pytest.mark.parametrize(
    ("template", "uri", "expected"),
    [
        ("file:///{path}", "file:///a", True),
        ("file:///{path}", "file:///a/b", False),
        ("file:///{path}", "file:///", False),
        ("file:///{+path}", "file:///a/b?c#d", True),
        ("file:///{+path}.md", "file:///a/b.md", True),
        ("file:///{+path}.md", "file:///a/b.txt", False),
        ("x://{a}/{b}", "x://1/2", True),
        ("x://{a}/{b}", "x://1/2/3", False),
        ("x://{+p}/end/{a}", "x://q/end/r/end/s", True),
        ("x://{a}-{b}", "x://1-2-3", True),
        ("x://{a,b}", "x://1,2", True),
        ("x://{a*}{b:3}", "x://12", True),
        ("x://h{/seg}", "x://h", True),
        ("x://h{/seg}", "x://h/s", True),
        ("x://h{?q,r}", "x://h?q=1&r=2", True),
        ("x://h{?q}", "x://h/other", False),
        ("x://h?fixed{&q}", "x://h?fixed&q=1", True),
        ("x://h{#frag}", "x://h#f/g", True),
        ("x://h{.ext}", "x://h.json", True),
        ("x://h{;p}", "x://h;p=1", True),
        ("x://[a](b)*+", "x://[a](b)*+", True),
        ("x://[a](b)*+", "x://a", False),
        ("{scheme}://a", "x://a", True),
        ("x:{a}b{c}", "x:abbc", True),
        ("x:{a}", "", False),
    ],
)
def test_a_concrete_uri_is_recognised(template: str, uri: str, expected: bool) -> None:
    assert matches(template, uri) is expected


@pytest.mark.parametrize(
    "broken", ["a{", "a}", "{a{b}}", "{}", "{=a}", "{a b}", "{+}", "{a,}", "{x}" * (MAX_EXPRESSIONS + 1)]
)
def test_what_is_no_template_is_refused(broken: str) -> None:
    assert UriTemplate.parse(broken) is None


def test_a_huge_uri_matches_nothing() -> None:
    assert not matches("x://{+a}", "x://" + "a" * MAX_URI_CHARS)


def test_a_hostile_template_costs_little() -> None:
    template = "x://" + "{+a}a" * MAX_EXPRESSIONS + "!"
    started_s = time.process_time()
    assert not matches(template, "x://" + "a" * (MAX_URI_CHARS - 4))
    assert time.process_time() - started_s < 0.1


VALUES = st.text(min_size=1, max_size=8)


@settings(deadline=None)
@given(VALUES, VALUES)
def test_every_simple_expansion_matches_its_template(first: str, second: str) -> None:
    assert matches("db://{table}/rows/{id}", f"db://{quote(first, safe='')}/rows/{quote(second, safe='')}")


@settings(deadline=None)
@given(VALUES)
def test_every_reserved_expansion_matches_its_template(value: str) -> None:
    assert matches("file:///{+path}", "file:///" + quote(value, safe=":/?#[]@!$&'()*+,;="))


EXPRESSIONS = {
    "{v}": "[^/?#]+",
    "{+v}": ".+",
    "{/v}": "(/[^?#]*)?",
    "{?v}": r"(\?[^#]*)?",
    "{.v}": r"(\.[^/?#]*)?",
    "a": "a",
    "/": "/",
    "?": r"\?",
}
PIECES = st.lists(st.sampled_from(sorted(EXPRESSIONS)), max_size=6)


@settings(deadline=None, max_examples=500)
@given(PIECES, st.text("ab/?#.", max_size=9))
def test_matching_agrees_with_regular_expressions(pieces: list[str], uri: str) -> None:
    expected = re.fullmatch("".join(EXPRESSIONS[piece] for piece in pieces), uri) is not None
    assert matches("".join(pieces), uri) is expected
