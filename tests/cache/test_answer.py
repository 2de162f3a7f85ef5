"""Verdicts on results, and the mark that is put into them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp_gateway.cache.answer import CACHE_META_KEY, Fate, judge, marked


def owned(uri: str) -> bool:
    return uri.startswith("file:")


@pytest.mark.parametrize(
    ("raw", "fate"),
    [
        (b"{}", Fate.KEEP),
        (b'{"content":[{"type":"text","text":"x"}],"structuredContent":[1]}', Fate.KEEP),
        (b'{"content":[],"isError":false,"resultType":"complete"}', Fate.KEEP),
        (b'{"content":[{"type":"resource_link","uri":"file:a"}]}', Fate.KEEP),
        (b'{"contents":[{"uri":"x:y","text":"t"}]}', Fate.KEEP),
        (b'{"messages":[{"role":"user","content":{"type":"text","text":"x"}}]}', Fate.KEEP),
        (b'{"content":[],"isError":true}', Fate.SHARE),
        (b'{"content":[],"_meta":null}', Fate.SHARE),
        (b'{"a":1,"a":2,"_meta":{}}', Fate.SHARE),
        (b'{"content":[{"type":"resource_link","uri":"session:1"}]}', Fate.ALONE),
        (b'{"content":[{"type":"resource\\u005flink","uri":"session:1"}]}', Fate.ALONE),
        (b'{"messages":[{"content":{"type":"resource_link","uri":"session:1"}}]}', Fate.ALONE),
        (b'{"messages":[{"content":[{"type":"resource_link","uri":"session:1"}]}]}', Fate.ALONE),
        (b'{"resultType":"input_required","inputRequests":{}}', Fate.ALONE),
        (b'{"resultType":"task"}', Fate.ALONE),
        (b'{"task":{"taskId":"1"}}', Fate.ALONE),
        (b'{"content":[],"isError":"yes"}', Fate.ALONE),
        (b'{"content":"text"}', Fate.ALONE),
        (b"[]", Fate.ALONE),
        (b"nonsense", Fate.ALONE),
    ],
)
def test_the_fate_of_a_result(raw: bytes, fate: Fate) -> None:
    assert judge(raw, owned).fate is fate


@pytest.mark.parametrize(("ttl_ms", "ttl_s"), [("300000", 300), ("0", 0), ("-5", 0), ("1.5", 0.0015), ("1e12", 86400)])
def test_the_upstreams_own_ttl_is_believed_within_bounds(ttl_ms: str, ttl_s: float) -> None:
    verdict = judge(b'{"contents":[],"ttlMs":%b,"cacheScope":"public"}' % ttl_ms.encode(), owned)
    assert (verdict.ttl_s, verdict.public) == (ttl_s, True)
    assert judge(b"{}", owned).ttl_s is None
    assert not judge(b'{"cacheScope":"private"}', owned).public


HIT = b'"io.mcp-gateway/cache":{"hit":true,"age_s":3}'


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"{}", b'{"_meta":{%b}}'),
        (b" { }", b' {"_meta":{%b} }'),
        (b'{"a": 1.0, "a": 2}', b'{"_meta":{%b},"a": 1.0, "a": 2}'),
        (b'{"_meta":{}}', b'{"_meta":{%b}}'),
        (b'{"x":[1, 2], "_meta" : { "k":1 },"y":"\\u00e9"}', b'{"x":[1, 2], "_meta" : {%b, "k":1 },"y":"\\u00e9"}'),
        (b'{"_meta":{"k":1.0}}', b'{"_meta":{%b,"k":1.0}}'),
        (b'{"content":[{"_meta":{"k":1}}]}', b'{"_meta":{%b},"content":[{"_meta":{"k":1}}]}'),
        (b'{"content":[{"_meta":{}}],"_meta":{"k":1}}', b'{"content":[{"_meta":{}}],"_meta":{%b,"k":1}}'),
        (b'{"t":"\\"_meta\\":{","_meta":{}}', b'{"t":"\\"_meta\\":{","_meta":{%b}}'),
        (b'{"\\u005fmeta":{"k":1}}', b'{"\\u005fmeta":{%b,"k":1}}'),
        (b'{"_meta":{"io.mcp-gateway/cache":{"hit":false,"age_s":0},"k":1}}', b'{"_meta":{%b,"k":1}}'),
        (b'{"_meta":{"io.mcp-gateway/cache":{"hit":false,"age_s":0}}}', b'{"_meta":{%b}}'),
    ],
)
def test_the_mark_is_spliced_in_and_the_rest_stays(raw: bytes, expected: bytes) -> None:
    assert bytes(marked(raw, hit=True, age_s=3.9)) == expected.replace(b"%b", HIT)


@pytest.mark.parametrize("raw", [b"[]", b"", b'"x"', b'{"_meta":null}', b'{"a":1,"a":2,"_meta":{}}'])
def test_a_result_without_a_place_for_the_mark_stays_as_it_is(raw: bytes) -> None:
    assert bytes(marked(raw, hit=True, age_s=0)) == raw


values = st.recursive(
    st.none() | st.integers() | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["_meta", "a", '"_meta":{', "\\"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(
    st.dictionaries(st.sampled_from(["a", "content", "_me", "é"]), values),
    st.none() | st.dictionaries(st.text('ab\\"'), values),
    st.booleans(),
    st.sampled_from([None, 1]),
)
def test_a_marked_result_is_the_result_and_the_mark(
    result: dict[str, Any], meta: dict[str, Any] | None, ascii_only: bool, indent: int | None
) -> None:
    if meta is not None:
        result = {"_meta": meta, **result} if ascii_only else {**result, "_meta": meta}
    raw = json.dumps(result, ensure_ascii=ascii_only, indent=indent).encode()
    found = json.loads(bytes(marked(raw, hit=False, age_s=0)))
    assert found["_meta"].pop(CACHE_META_KEY) == {"hit": False, "age_s": 0}
    if meta is None:
        assert found.pop("_meta") == {}
    assert found == result
