"""The same calls in the same order are answered alike at every door, whatever their arguments are."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.interaction.house import house
from tests.interaction.requirements import shows
from tests.interaction.test_authorization import CALLING_WAYS, CONFIG, Way, coming

TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
ARGUMENTS = st.dictionaries(TEXT, VALUES, max_size=4)
CALLS = st.one_of(
    st.tuples(st.sampled_from(["up__echo", "up__fail", "up__nothing", "echo"]), ARGUMENTS),
    st.tuples(st.just("call_tool"), st.fixed_dictionaries({"name": st.just("up__echo"), "arguments": ARGUMENTS})),
    st.tuples(st.just("read_tool"), st.fixed_dictionaries({"name": st.just("up__fail"), "arguments": ARGUMENTS})),
    st.tuples(st.just("describe_tools"), st.fixed_dictionaries({"names": st.just(["up__echo", "nothing"])})),
)


@pytest.fixture
async def doors(tmp_path: Path) -> AsyncIterator[Mapping[str, Way]]:
    """Every way in, open, with the same key."""
    async with house(tmp_path, **CONFIG) as home, AsyncExitStack() as stack:
        yield {way: await stack.enter_async_context(coming(home, way, "all")) for way in CALLING_WAYS}


@shows("same-answers")
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(calls=st.lists(CALLS, min_size=1, max_size=4))
async def test_every_door_gives_the_same_answers(
    doors: Mapping[str, Way], calls: list[tuple[str, dict[str, Any]]]
) -> None:
    answers = {
        way: [_said(await door.call(tool, arguments)) for tool, arguments in calls] for way, door in doors.items()
    }

    assert all(answer == answers["rest"] for answer in answers.values()), answers


def _said(answer: Any) -> Any:
    """What a model reads of an answer; a code is itself."""
    if not isinstance(answer, dict):
        return answer
    texts = [block.get("text") for block in answer["content"]]
    return texts, answer.get("structuredContent"), bool(answer.get("isError"))
