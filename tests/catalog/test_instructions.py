"""Instructions of many servers in one text."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from mcp_gateway.catalog import Catalog, Code, ExposeRules, Prefix
from mcp_gateway.catalog.instructions import MAX_BYTES, merge

from tests.catalog.offers import codes, offer


def test_nobody_has_instructions() -> None:
    assert merge([("a", ""), ("b", "  ")], Prefix.ALWAYS) is None


def test_the_naming_line_comes_first_and_each_server_has_a_heading() -> None:
    assert merge([("a", " Text A "), ("b", ""), ("c", "Text C")], Prefix.ALWAYS) == (
        "Tools and prompts are named SERVER__NAME.\n\n## a\nText A\n\n## c\nText C"
    )


def test_collision_mode_says_so() -> None:
    merged = merge([("a", "A")], Prefix.COLLISION)
    assert merged is not None
    assert merged.startswith("Tools and prompts that several servers offer")


def test_a_lone_server_without_prefix_speaks_for_itself() -> None:
    assert merge([("a", "x" * 5_000)], Prefix.NEVER) == "x" * 5_000
    assert merge([("a", "A"), ("b", "B")], Prefix.NEVER) == "## a\nA\n\n## b\nB"


def test_long_texts_are_cut_and_short_ones_stay_whole() -> None:
    merged = merge([("a", "a" * 9_000), ("b", "short"), ("c", "c" * 9_000)], Prefix.ALWAYS)
    assert merged is not None
    assert "## b\nshort\n\n" in merged
    assert merged.count("a") > 500
    assert merged.count("c") > 500
    assert merged.endswith("(Shortened to 2 kB.)")


def test_servers_without_room_are_counted() -> None:
    merged = merge([(f"server{n}", "x" * 500) for n in range(100)], Prefix.ALWAYS)
    assert merged is not None
    kept = merged.count("##")
    assert merged.endswith(f"(Shortened to 2 kB; {100 - kept} more servers left out.)")
    assert kept > 10


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.text("abc", min_size=1, max_size=20), st.text(max_size=4_000)), max_size=40),
    st.sampled_from(Prefix),
)
def test_the_merged_text_never_exceeds_the_cap(texts: list[tuple[str, str]], prefix: Prefix) -> None:
    encodable = [(name, text.encode(errors="ignore").decode()) for name, text in texts]
    merged = merge(encodable, prefix)
    lone = prefix is Prefix.NEVER and sum(bool(text.strip()) for _, text in encodable) == 1
    assert merged is None or lone or len(merged.encode()) <= MAX_BYTES


def test_hidden_characters_are_stripped_from_instructions() -> None:
    catalog = Catalog.build([offer("a", instructions="Do\u200b it.")], expose=ExposeRules(prefix=Prefix.NEVER))
    assert catalog.instructions == "Do it."
    assert codes(catalog) == [Code.HIDDEN_TEXT]


def test_short_texts_of_many_servers_stay_whole() -> None:
    merged = merge([(f"server{n}", "x") for n in range(200)], Prefix.ALWAYS)
    assert merged is not None
    assert merged.count("\nx\n") == merged.count("##")
