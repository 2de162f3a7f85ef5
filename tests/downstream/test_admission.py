"""Connections are counted by whom they come from, and there is an end to them."""

from __future__ import annotations

import logging
import resource
from collections.abc import Iterator

import pytest
from mcp_gateway.downstream.admission import FILES_KEPT_BACK, Admission, Caps, room_for

STRANGER = "192.0.2.7"


def test_there_is_room_up_to_the_cap_and_again_once_somebody_leaves() -> None:
    admission = Admission(Caps(overall=2))

    assert [admission.enter("127.0.0.1") for _ in range(3)] == [True, True, False]
    admission.leave("127.0.0.1")
    assert admission.enter("127.0.0.1")
    assert (admission.count, admission.refused) == (2, 1)


@pytest.mark.parametrize("address", [STRANGER, "2001:db8::1", "fe80::1%eth0"])
def test_one_address_has_its_own_cap_and_leaves_room_for_others(address: str) -> None:
    admission = Admission(Caps(per_address=1))

    assert admission.enter(address)
    assert not admission.enter(address)
    assert admission.enter("198.51.100.1")


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "10.1.2.3", "2001:db8::5", ""])
def test_this_machine_and_trusted_proxies_speak_for_many(address: str) -> None:
    admission = Admission(Caps(per_address=1), trusted=["10.0.0.0/8", "2001:db8::/32", "*", "proxy.sock"])

    assert admission.enter(address)
    assert admission.enter(address)


def test_many_refusals_are_one_line(caplog: pytest.LogCaptureFixture) -> None:
    admission = Admission(Caps(overall=0))
    with caplog.at_level(logging.WARNING):
        for _ in range(5):
            admission.enter(STRANGER)

    assert [record.getMessage() for record in caplog.records] == ["http.connections_full of=all open=0 refused=1"]


@pytest.fixture
def few_files() -> Iterator[int]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (700, hard))
    yield hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_the_soft_limit_of_open_files_is_raised_for_the_connections(few_files: int) -> None:
    caps = room_for(Caps(overall=600))

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert soft == min(few_files, 8192)
    assert caps.overall == min(600, soft - FILES_KEPT_BACK)
