"""How a file shows its language."""

from __future__ import annotations

import pytest
from mcp_gateway.builtin.analysis.languages import BY_NAME, language_of
from mcp_gateway.errors import InvalidParams


@pytest.mark.parametrize(
    ("name", "path", "code", "language"),
    [
        ("Go", None, "", "go"),
        ("js", "a.py", "", "javascript"),
        ("C++", None, "", "cpp"),
        (None, "src/A.JAVA", "", "java"),
        (None, "a.tsx", "", "tsx"),
        (None, "run", "#!/usr/bin/env python3.11\n", "python"),
        (None, None, "#!/bin/sh\necho", "bash"),
        (None, None, "#! /usr/bin/node", "javascript"),
        (None, None, "x = 1", "python"),
    ],
)
def test_a_name_comes_first_then_the_suffix_then_the_first_line(
    name: str | None, path: str | None, code: str, language: str
) -> None:
    assert language_of(name, path, code).name == language


@pytest.mark.parametrize(
    ("name", "path", "code", "said"),
    [
        ("cobol", None, "", "language 'cobol' is unknown; name one of python, "),
        (None, "a.xyz", "", "the language of a .xyz file is unknown"),
        (None, "Makefile", "", "the language of a nameless file is unknown"),
        (None, None, "#!/usr/bin/perl", "language 'perl' is unknown"),
        (None, None, "#!", "is unknown"),
    ],
)
def test_an_unknown_language_gets_the_known_ones_named(
    name: str | None, path: str | None, code: str, said: str
) -> None:
    with pytest.raises(InvalidParams, match=said):
        language_of(name, path, code)


def test_no_suffix_belongs_to_two_languages() -> None:
    suffixes = [suffix for language in BY_NAME.values() for suffix in language.suffixes]

    assert len(suffixes) == len(set(suffixes))
