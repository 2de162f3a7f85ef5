"""The ask loop against a scripted model over real HTTP: every rule, one test."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import anyio
import pytest
from mcp_gateway.cache.answer import marked
from mcp_gateway.call import Call
from mcp_gateway.errors import UpstreamUnavailable
from mcp_gateway.llm import Capabilities, LLMResponse, LLMService, Request
from mcp_gateway.llm.bounds import Approval, StopReason
from mcp_gateway.llm.events import Delta, Done, Status, ToolAnswered, ToolCalled
from mcp_gateway.llm.planning import Policy
from mcp_gateway.llm.toolbox import Choice
from mcp_gateway.llm.trace import DEPTH_KEY
from mcp_gateway.wire import Raw

from tests.fakes.openai_server import Hangs, Refuses, Says, Sends, Turn
from tests.llm.house import READ, arguments, entry, house, text

READS = Says(calls=[("box__read", {"text": "a"})])
DONE = Says("It says hello [call_1].")


async def test_a_question_without_tools_is_answered_in_one_turn() -> None:
    async with house([Says("Hello.")]) as there:
        result = await there.run()
    assert (result.answer, result.stop_reason, result.rounds) == ("Hello.", StopReason.COMPLETED, 0)


async def test_a_tool_is_called_and_its_answer_used() -> None:
    async with house([READS, DONE]) as there:
        result = await there.run()
        told = there.model.tool_messages()
    assert result.answer == "It says hello [call_1]."
    assert [(call.id, call.tool, call.server, call.ok) for call in result.tool_calls] == [
        ("call_1", "box__read", "box", True)
    ]
    assert "box__read says hello" in told[0]["content"]


async def test_citations_are_the_calls_that_the_answer_names() -> None:
    two = Says(calls=[("box__read", {}), ("box__look", {})])
    async with house([two, Says("As [call_2] and [call_9] say.")]) as there:
        result = await there.run()
    assert result.citations == ["call_2"]


async def test_usage_is_the_sum_of_the_turns() -> None:
    async with house([READS, DONE]) as there:
        result = await there.run()
    assert (result.usage.input, result.usage.output) == (20, 10)


async def test_calls_of_a_round_run_side_by_side() -> None:
    both = anyio.Event()
    waiting = []

    async def meet(call: Call) -> Any:
        waiting.append(call)
        if len(waiting) == 2:
            both.set()
        await both.wait()
        return text("met")

    async with house([Says(calls=[("box__read", {}), ("box__look", {})]), DONE]) as there:
        there.tools.answers = {"box__read": meet, "box__look": meet}
        result = await there.run()
    assert all(call.ok for call in result.tool_calls)


async def test_answers_stand_in_the_order_of_the_calls() -> None:
    async with house([Says(calls=[("box__read", {}), ("box__look", {}), ("nothing", {})]), DONE]) as there:
        await there.run()
        told = there.model.tool_messages()
    assert [message["tool_call_id"] for message in told] == ["call_1", "call_2", "call_3"]


async def test_ids_that_are_missing_or_given_twice_are_replaced_by_our_own() -> None:
    twice = Says(calls=[("box__read", {}), ("box__look", {})], ids=["same", "same"], has_index=True)
    async with house([twice, DONE]) as there:
        result = await there.run()
    assert [call.id for call in result.tool_calls] == ["call_1", "call_2"]


async def test_identical_calls_of_a_round_run_once() -> None:
    async with house([Says(calls=[("box__read", {"text": "a"}), ("box__read", '{ "text":"a" }')]), DONE]) as there:
        result = await there.run()
        told = there.model.tool_messages()
    assert there.tools.names == ["box__read"]
    assert [call.ok for call in result.tool_calls] == [True, True]
    assert "see there" in told[1]["content"]


async def test_a_call_made_again_gets_the_earlier_answer() -> None:
    async with house([READS, READS, DONE]) as there:
        result = await there.run()
    assert there.tools.names == ["box__read"]
    assert [call.cached for call in result.tool_calls] == [False, True]


async def test_the_third_round_with_the_same_call_ends_the_asking() -> None:
    async with house([READS, READS, READS, DONE]) as there:
        result = await there.run()
        last = there.model.bodies[-1]
    assert (result.stop_reason, result.answer) == (StopReason.REPEATED_CALLS, "It says hello [call_1].")
    assert last["tool_choice"] == "none"


async def test_rounds_are_bounded_and_an_answer_is_asked_for() -> None:
    def restless(body: dict[str, Any]) -> Says:
        if body.get("tool_choice") == "none":
            return Says("Enough.")
        return Says(calls=[("box__read", {"text": str(len(body["messages"]))})])

    async with house(restless) as there:
        there.bounds = replace(there.bounds, max_rounds=3)
        result = await there.run()
    assert (result.stop_reason, result.rounds, result.answer) == (StopReason.MAX_ROUNDS, 3, "Enough.")


async def test_a_model_that_calls_tools_although_forbidden_is_asked_without_any() -> None:
    def deaf(body: dict[str, Any]) -> Says:
        if "tools" not in body:
            return Says("At last.")
        return Says(calls=[("box__read", {"text": str(len(body["messages"]))})])

    async with house(deaf) as there:
        there.bounds = replace(there.bounds, max_rounds=1)
        result = await there.run()
    assert result.answer == "At last."


async def test_calls_are_bounded_within_a_round_and_each_is_answered() -> None:
    many = Says(calls=[("box__read", {"text": str(number)}) for number in range(6)])
    async with house([many, DONE]) as there:
        there.bounds = replace(there.bounds, max_tool_calls=4)
        result = await there.run()
        told = there.model.tool_messages()
    assert len(there.tools.calls) == 4
    assert len(told) == 6
    assert (result.stop_reason, result.answer) == (StopReason.MAX_TOOL_CALLS, "It says hello [call_1].")


async def test_a_budget_of_tokens_ends_the_asking() -> None:
    async with house([Says(calls=[("box__read", {})], usage=(1800, 10)), DONE]) as there:
        there.bounds = replace(there.bounds, max_tokens=2000)
        result = await there.run()
    assert result.stop_reason is StopReason.MAX_TOKENS
    assert "box__read says hello" in result.answer


async def test_long_results_are_cut_with_a_mark() -> None:
    async def long(call: Call) -> Any:
        return text("x" * 5000)

    async with house([READS, DONE]) as there:
        there.tools.answers["box__read"] = long
        there.bounds = replace(there.bounds, max_result_chars=2000)
        await there.run()
        told = there.model.tool_messages()[0]["content"]
    assert "[cut: the result is longer]" in told
    assert len(told) < 2200


async def test_bytes_of_all_results_are_bounded() -> None:
    async def long(call: Call) -> Any:
        return text("x" * 5000)

    async with house([READS, DONE]) as there:
        there.tools.answers["box__read"] = long
        there.bounds = replace(there.bounds, max_bytes=900)
        result = await there.run()
    assert result.stop_reason is StopReason.MAX_BYTES


async def test_a_slow_tool_does_not_outlive_the_deadline_and_an_answer_follows() -> None:
    async def stuck(call: Call) -> Any:
        await anyio.sleep_forever()

    async with house([Says(calls=[("box__read", {}), ("box__look", {})]), DONE]) as there:
        there.tools.answers["box__read"] = stuck
        there.deadline_s = 1.0
        with anyio.fail_after(3):
            result = await there.run()
    assert (result.stop_reason, result.answer) == (StopReason.DEADLINE, "It says hello [call_1].")
    assert [call.ok for call in result.tool_calls] == [False, True]


async def test_a_model_that_hangs_costs_no_more_than_the_deadline() -> None:
    async with house([READS, Hangs()]) as there:
        there.deadline_s = 1.0
        with anyio.fail_after(3):
            result = await there.run()
    assert result.stop_reason is StopReason.DEADLINE
    assert "box__read says hello" in result.answer


async def test_an_endless_stream_is_ended_by_the_deadline_of_a_turn() -> None:
    async with house([Hangs(dribbles=True)]) as there:
        there.bounds = replace(there.bounds, turn_s=0.5)
        result = await there.run()
    assert result.stop_reason is StopReason.LLM_ERROR
    assert "la la" in result.answer


async def test_broken_arguments_are_told_and_can_be_mended() -> None:
    async with house([Says(calls=[("box__read", '{"text": ')]), READS, DONE]) as there:
        result = await there.run()
        told = there.model.tool_messages(1)
    assert "not valid JSON" in told[0]["content"]
    assert result.stop_reason is StopReason.COMPLETED
    assert there.tools.names == ["box__read"]


async def test_broken_arguments_do_not_go_back_to_the_server() -> None:
    async with house([Says(calls=[("box__read", '{"text": ')]), DONE]) as there:
        await there.run()
        said = there.model.bodies[1]["messages"][-2]
    assert said["tool_calls"][0]["function"]["arguments"] == "{}"


async def test_arguments_of_the_wrong_type_are_told() -> None:
    async with house([Says(calls=[("box__read", {"text": 3})]), DONE]) as there:
        await there.run()
        told = there.model.tool_messages()
    assert "'text' must be string" in told[0]["content"]
    assert not there.tools.calls


async def test_after_two_repairs_the_model_is_not_asked_for_calls_any_more() -> None:
    def clumsy(body: dict[str, Any]) -> Says:
        return Says("I give up.") if body.get("tool_choice") == "none" else Says(calls=[("box__read", "{")])

    async with house(clumsy) as there:
        result = await there.run()
    assert (result.stop_reason, result.rounds, result.answer) == (StopReason.LLM_ERROR, 3, "I give up.")


async def test_an_unknown_tool_is_answered_with_the_nearest_names() -> None:
    async with house([Says(calls=[("box__reed", {})]), DONE]) as there:
        await there.run()
        told = there.model.tool_messages()
    assert "box__read" in told[0]["content"]


@pytest.mark.parametrize("name", ["BOX__READ", "read"])
async def test_a_name_in_another_case_or_without_its_server_is_understood(name: str) -> None:
    async with house([Says(calls=[(name, {})]), DONE]) as there:
        await there.run()
    assert there.tools.names == ["box__read"]


async def test_a_call_that_was_cut_off_is_not_made() -> None:
    cut = Says(calls=[("box__read", {"text": "whole"}), ("box__look", '{"text": "a lo')], finish="length")
    async with house([cut, DONE]) as there:
        await there.run()
    assert there.tools.names == ["box__read"]


async def test_no_arguments_at_all_are_an_empty_object() -> None:
    async with house([Says(calls=[("box__read", "")]), DONE]) as there:
        await there.run()
    assert arguments(there.tools.calls[0]) == {}


async def test_an_empty_answer_is_asked_for_once_more() -> None:
    async with house([Says(None), Says("Here.")]) as there:
        result = await there.run()
    assert (result.answer, result.stop_reason) == ("Here.", StopReason.COMPLETED)


async def test_two_empty_answers_are_an_error() -> None:
    async with house([Says("")]) as there:
        result = await there.run()
    assert result.stop_reason is StopReason.LLM_ERROR
    assert "nothing" in (result.error or "")


async def test_a_server_without_tools_answers_without_them_and_the_caller_is_told() -> None:
    refusal = Refuses(400, "parrot does not support tools")
    async with house([refusal, Says("From memory.")]) as there:
        result = await there.run()
    assert (result.answer, result.stop_reason) == ("From memory.", StopReason.COMPLETED)
    assert any("takes no tools" in note for note in result.notes)


async def test_a_model_that_fails_later_does_not_lose_what_was_found() -> None:
    async with house([READS, Refuses(400, "bad luck")]) as there:
        result = await there.run()
    assert result.stop_reason is StopReason.LLM_ERROR
    assert result.error_code == "model_refused"
    assert "box__read says hello" in result.answer


async def test_a_conversation_that_is_too_long_is_shortened_once() -> None:
    async def long(call: Call) -> Any:
        return text("x" * 8000)

    turns: list[Turn] = [READS, Refuses(400, "this exceeds the maximum context length"), DONE]
    async with house(turns) as there:
        there.tools.answers["box__read"] = long
        result = await there.run()
        lengths = [len(there.model.tool_messages(turn)[0]["content"]) for turn in (1, 2)]
    assert result.stop_reason is StopReason.COMPLETED
    assert lengths[1] * 3 < lengths[0]


async def test_a_stream_that_breaks_off_is_not_begun_again() -> None:
    async with house([Says("half of an ans", breaks_off=True)]) as there:
        result = await there.run()
    assert len(there.model.bodies) == 1
    assert result.stop_reason is StopReason.LLM_ERROR
    assert "half of" in result.answer


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_passing_fault_is_tried_again(status: int) -> None:
    async with house([Refuses(status), Says("Back.")]) as there:
        result = await there.run()
    assert result.answer == "Back."


@pytest.mark.parametrize("status", [400, 401])
async def test_a_bad_key_is_told_at_once(status: int) -> None:
    async with house([Refuses(status, "Invalid API key sk-mine-123")], api_key="sk-mine-123") as there:
        result = await there.run()
    assert len(there.model.bodies) == 1
    assert result.error_code == "model_refused"
    assert "sk-mine-123" not in (result.error or "")


@pytest.mark.parametrize("body", [b"<html>hello</html>", b"{}", b'{"choices": []}', b"[1", b"null"])
async def test_garbage_is_an_error_within_the_budget(body: bytes) -> None:
    async with house([Sends(body)]) as there:
        result = await there.run()
    assert (result.stop_reason, result.error_code) == (StopReason.LLM_ERROR, "model_unavailable")


async def test_a_failing_tool_is_an_answer_for_the_model() -> None:
    async def down(call: Call) -> Any:
        raise UpstreamUnavailable("box is down", server="box")

    async with house([READS, DONE]) as there:
        there.tools.answers["box__read"] = down
        result = await there.run()
        told = there.model.tool_messages()
    assert result.tool_calls[0].error == "upstream_unavailable"
    assert "box is down" in told[0]["content"]


async def test_a_tool_that_reports_an_error_is_told_so() -> None:
    async def fails(call: Call) -> Any:
        return text("no such file", isError=True)

    async with house([READS, DONE]) as there:
        there.tools.answers["box__read"] = fails
        result = await there.run()
    assert (result.tool_calls[0].ok, result.tool_calls[0].error) == (False, "the tool reported an error")


@pytest.mark.parametrize("hit", [True, False])
async def test_an_answer_from_the_cache_is_marked_and_one_that_is_only_kept_is_not(hit: bool) -> None:
    async def kept(call: Call) -> Any:
        return json.loads(bytes(marked(json.dumps(text("old")).encode(), hit=hit, age_s=1)))

    async with house([READS, DONE]) as there:
        there.tools.answers["box__read"] = kept
        result = await there.run()
    assert result.tool_calls[0].cached is hit


async def test_calls_carry_the_depth_and_less_reach_than_the_caller() -> None:
    async with house([READS, DONE]) as there:
        await there.run()
    call = there.tools.calls[0]
    assert call.params["_meta"][DEPTH_KEY] == 1
    assert call.principal.scopes == {"read", "call"}


async def test_what_may_destroy_is_not_offered_unless_it_is_named() -> None:
    async with house([Says("Hello.")]) as there:
        result = await there.run()
        assert there.model.offered() == ["box__read", "box__look", "box__write"]
        assert any("box__delete" in note for note in result.notes)
        there.choice = Choice(tools=("box__delete",))
        await there.run()
        assert there.model.offered(-1) == ["box__delete"]


async def test_of_many_tools_the_fitting_ones_are_offered_and_more_can_be_found() -> None:
    find = Says(calls=[("find_tools", {"queries": ["twelve"]})])
    use = Says(calls=[("box__twelve", {})])
    async with house([find, use, DONE]) as there:
        there.entries = [entry(f"box__number{n}", READ) for n in range(30)] + [entry("box__twelve", READ)]
        there.tools.answers["box__twelve"] = lambda call: _text("twelve it is")
        await there.run("what is number3 ?")
        assert "box__twelve" not in there.model.offered(0)
        assert "find_tools" in there.model.offered(0)
        assert "box__twelve" in there.model.offered(1)
    assert there.tools.names == ["box__twelve"]


async def _text(told: str) -> Any:
    return text(told)


async def test_a_call_that_needs_a_word_is_denied_where_nobody_can_be_asked() -> None:
    async with house([Says(calls=[("box__delete", {})]), Says("I could not.")]) as there:
        there.choice = Choice(tools=("box__delete",))
        result = await there.run()
    assert not there.tools.calls
    assert (result.stop_reason, result.answer) == (StopReason.DENIED, "I could not.")
    assert result.tool_calls[0].denied


async def test_an_ask_waits_for_a_person_and_goes_on_without_running_anything_twice() -> None:
    mixed = Says(calls=[("box__read", {}), ("box__delete", {"text": "x"})])
    async with house([mixed, DONE]) as there:
        there.choice = Choice(tools=("box__read", "box__delete"))
        there.policy = Policy(approval=Approval.ASK)
        state = there.state()
        question = await there.until_asked(state)
        assert [call.name for call in question.calls] == ["box__delete"]
        assert there.tools.names == ["box__read"]
        result = await there.loop().run(state, {question.calls[0].id: True})
    assert there.tools.names == ["box__read", "box__delete"]
    assert len(there.model.bodies) == 2
    assert getattr(result, "stop_reason", None) is StopReason.COMPLETED


async def test_an_ask_goes_on_after_a_no() -> None:
    async with house([Says(calls=[("box__delete", {})]), Says("Then not.")]) as there:
        there.choice = Choice(tools=("box__delete",))
        there.policy = Policy(approval=Approval.ASK)
        state = there.state()
        await there.until_asked(state)
        result = await there.loop().run(state, {})
    assert not there.tools.calls
    assert getattr(result, "stop_reason", None) is StopReason.DENIED


async def test_no_more_than_three_forms_are_shown() -> None:
    def insistent(body: dict[str, Any]) -> Says:
        return Says(calls=[("box__delete", {"text": str(len(body["messages"]))})])

    async with house(insistent) as there:
        there.choice = Choice(tools=("box__delete",))
        there.policy = Policy(approval=Approval.ASK)
        state = there.state()
        for _ in range(3):
            await there.until_asked(state)
        result = await there.loop().run(state, {})
    assert getattr(result, "stop_reason", None) is StopReason.MAX_ROUNDS


async def test_events_tell_what_happens_in_order() -> None:
    async with house([READS, DONE]) as there:
        await there.run()
    kinds = [type(event) for event in there.events if not isinstance(event, Delta)]
    assert kinds == [Status, ToolCalled, ToolAnswered, Status, Done]
    assert "".join(event.text for event in there.events if isinstance(event, Delta)) == DONE.text


async def test_a_model_that_says_nothing_may_still_call_a_tool() -> None:
    async with house([Says(None), READS, DONE]) as there:
        result = await there.run()
    assert (result.answer, there.tools.names) == (DONE.text, ["box__read"])


async def test_a_provider_that_is_not_ours_may_break() -> None:
    class Broken(LLMService):
        async def complete(self, request: Request) -> LLMResponse:
            raise KeyError("x")

    async with house([DONE]) as there:
        there.service = Broken()
        result = await there.run()
    assert (result.stop_reason, result.error_code) == (StopReason.LLM_ERROR, "model_unavailable")


async def test_a_provider_without_tools_answers_without_them() -> None:
    class Plain(LLMService):
        capabilities = Capabilities(tools=False)

        async def complete(self, request: Request) -> LLMResponse:
            return LLMResponse(f"{len(request.tools)} tools")

    async with house([DONE]) as there:
        there.service = Plain()
        result = await there.run()
    assert result.answer == "0 tools"
    assert any("takes no tools" in note for note in result.notes)


@pytest.mark.parametrize(
    ("turn", "note"),
    [(Says("Hal", finish="length"), "cut off"), (Says("No.", finish="content_filter"), "filtered")],
)
async def test_an_answer_that_is_not_whole_says_so(turn: Says, note: str) -> None:
    async with house([turn]) as there:
        result = await there.run()
    assert any(note in told for told in result.notes)


@pytest.mark.parametrize("raw", [b"[]", b"{"])
async def test_an_odd_result_of_a_tool_is_an_answer_too(raw: bytes) -> None:
    async def odd(call: Call) -> Any:
        return Raw(raw)

    async with house([READS, DONE]) as there:
        there.tools.answers["box__read"] = odd
        result = await there.run()
    assert (result.tool_calls[0].ok, result.answer) == (False, DONE.text)
