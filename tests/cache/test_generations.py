"""Flush numbers only ever rise."""

from __future__ import annotations

from mcp_gateway.cache import Generations

from tests.fakes.clock import Clock


def test_a_bump_raises_one_server_and_leaves_the_others() -> None:
    generations = Generations(Clock())
    number = generations.bump("one")
    assert generations.current("one") == number > generations.current("two") == 0
    assert generations.bump("one") > number


def test_a_bump_of_all_is_above_every_number_so_far() -> None:
    generations = Generations(Clock())
    number = generations.bump("one")
    everything = generations.bump(None)
    assert generations.current("one") == generations.current("never seen") == everything > number


def test_a_number_is_above_the_clock_so_that_processes_do_not_collide() -> None:
    clock = Clock()
    assert Generations(clock).bump("one") >= clock() * 1000


def test_only_higher_numbers_are_adopted() -> None:
    generations = Generations(Clock())
    generations.adopt("one", 5)
    generations.adopt("one", 3)
    generations.adopt(None, 4)
    assert (generations.current("one"), generations.current("two")) == (5, 4)
    generations.adopt("two", 2)
    assert generations.current("two") == 4
