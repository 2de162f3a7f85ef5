"""A call, its client, and the sink of a caller that listens to nothing."""

from __future__ import annotations

import pytest
from mcp_gateway.call import QUIET, Call, Client
from mcp_gateway.errors import METHOD_NOT_FOUND, RpcError
from mcp_gateway.revisions import LATEST_LEGACY, LATEST_MODERN
from mcp_gateway.security.principal import LOCAL, SCOPES


@pytest.mark.parametrize(("revision", "modern"), [(LATEST_MODERN, True), (LATEST_LEGACY, False)])
def test_a_client_is_modern_by_its_revision(revision: str, modern: bool) -> None:
    assert Client("one", revision=revision).modern is modern


def test_a_call_is_the_local_persons_unless_a_door_says_otherwise() -> None:
    call = Call("tools/list", {}, Client("one"))

    assert (call.principal, call.principal.scopes, call.sink) == (LOCAL, SCOPES, QUIET)


def test_a_quiet_sink_takes_every_notification() -> None:
    QUIET.notify("notifications/progress", {"progress": 1})

    assert QUIET.token is None


async def test_a_quiet_sink_refuses_to_be_asked() -> None:
    with pytest.raises(RpcError) as refused:
        await QUIET.request("sampling/createMessage", {})

    assert refused.value.error["code"] == METHOD_NOT_FOUND
