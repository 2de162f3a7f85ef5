"""Ids of our own: unlike any other, put back in the answer, given up when they can be."""

from __future__ import annotations

from mcp_gateway.downstream.aliases import ABANDONED, Aliases


def answer(id: str) -> bytes:
    return b'event: message\r\ndata: {"jsonrpc":"2.0","id":"%b","result":{}}\r\n\r\n' % id.encode()


def test_equal_ids_get_different_aliases() -> None:
    aliases = Aliases()

    assert aliases.lend("s", 1).id != aliases.lend("s", 1).id


def test_the_answer_has_the_clients_own_id_again() -> None:
    number, text = Aliases().lend("s", 1), Aliases().lend("s", "é")

    assert number.restore(answer(number.id)) == answer("?").replace(b'"?"', b"1")
    assert text.restore(answer(text.id)) == answer("é")
    assert number.answered


def test_what_is_no_answer_is_left_alone() -> None:
    alias = Aliases().lend("s", 1)
    progress = b'data: {"jsonrpc":"2.0","method":"notifications/progress","params":{"text":"' + b"x" * 200
    quoted = progress + b'"id":"%b"' % alias.id.encode()

    assert alias.restore(quoted) == quoted
    assert not alias.answered


def test_a_request_in_flight_is_found_by_its_own_id() -> None:
    aliases = Aliases()
    alias = aliases.lend("s", 1)

    assert aliases.of("s", 1) == alias.id
    assert aliases.of("other", 1) is None
    assert aliases.of("s", 2) is None


def test_an_id_that_several_requests_share_is_nobodys() -> None:
    aliases = Aliases()
    first = aliases.lend("s", 1)
    second = aliases.lend("s", 1)
    assert aliases.of("s", 1) is None

    first.restore(answer(first.id))
    aliases.give_back("s", 1, first)
    assert aliases.of("s", 1) == second.id


def test_an_answered_request_leaves_nothing_behind() -> None:
    aliases = Aliases()
    alias = aliases.lend("s", 1)
    alias.restore(answer(alias.id))
    aliases.give_back("s", 1, alias)

    assert len(aliases) == 0


def test_requests_that_were_left_are_kept_up_to_a_bound() -> None:
    aliases = Aliases()
    for number in range(ABANDONED + 10):
        aliases.give_back("s", number, aliases.lend("s", number))

    assert len(aliases) == ABANDONED
    assert aliases.of("s", 0) is None
    assert aliases.of("s", ABANDONED) is not None
