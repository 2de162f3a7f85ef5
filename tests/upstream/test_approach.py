"""Opening the conversation: which era an upstream speaks, and over which wire."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp_gateway.upstream.eras import EraBook
from mcp_gateway.upstream.lifecycle import State
from mcp_gateway.upstream.session import Era

from tests.fakes.everything import Everything, sse_app
from tests.fakes.http_server import Request, Wire, scripted
from tests.upstream.dispatch.sdk_servers import serving
from tests.upstream.keeping import EAGER, PATIENT, Moody, defined, everything, http, kept, remembering, sse

pytestmark = pytest.mark.filterwarnings("ignore::mcp.MCPDeprecationWarning")


async def test_a_modern_server_is_recognised_by_the_probe() -> None:
    book = EraBook(None)
    async with kept(defined(everything()), book=book) as up:
        await up.ready()
        assert up.sessions[0].revision == "2026-07-28"
        assert up.sessions[0].server_info["name"] == "everything"
        assert up.sessions[0].instructions == "Use echo to hear yourself."
    assert book.recall("up") is Era.MODERN


async def test_a_legacy_server_of_the_sdk_is_recognised_and_remembered() -> None:
    book = EraBook(None)
    async with kept(defined(everything("--legacy")), book=book) as up:
        await up.ready()
        assert up.sessions[0].revision == "2025-11-25"
    assert book.recall("up") is Era.LEGACY


@pytest.mark.parametrize("mood", ["", "refuses_602", "refuses_era"])
async def test_any_refusal_of_the_probe_means_legacy(tmp_path: Path, mood: str) -> None:
    far = Moody(tmp_path, mood)
    async with kept(far.definition()) as up:
        await up.ready()
        assert far.methods()[:3] == ["server/discover", "initialize", "notifications/initialized"]
        assert len(far.starts) == 1


async def test_a_server_that_refuses_a_revision_is_asked_once_more_in_one_that_it_names(tmp_path: Path) -> None:
    far = Moody(tmp_path, "modern_only refuses_revision")
    async with kept(far.definition()) as up:
        await up.ready()
        assert far.methods()[:3] == ["server/discover", "server/discover", "tools/list"]
        assert up.sessions[0].revision == "2026-07-28"


async def test_a_server_that_dies_on_the_probe_is_started_again_without_it(tmp_path: Path) -> None:
    far = Moody(tmp_path, "dies_on_probe")
    book = EraBook(None)
    async with kept(far.definition(), book=book) as up:
        await up.ready()
        assert (len(far.starts), up.agent.failures, up.states[-1]) == (2, {}, State.READY)
        assert State.BACKOFF not in up.states
    assert book.recall("up") is Era.LEGACY


async def test_a_modern_server_that_crashed_once_on_the_probe_is_not_taken_for_legacy_for_ever(tmp_path: Path) -> None:
    far = Moody(tmp_path, "modern_only dies_on_probe")
    async with kept(far.definition()) as up:
        await up.until(lambda: bool(up.agent.failures))
        far.mood("modern_only")
        await up.ready()
        assert up.sessions[0].modern


async def test_a_server_that_always_crashes_gets_no_second_start_for_free(tmp_path: Path) -> None:
    far = Moody(tmp_path, "exits")
    async with kept(far.definition()) as up:
        await up.state(State.PARKED)
        failures = EAGER.max_failures + 1
        assert (len(far.starts), up.agent.failures) == (failures + 1, {"upstream_start_failed": failures})
        ended = "upstream 'up' exited with code 4 before it was ready"
        assert up.reasons[-1] == f"{ended}; its last words: cannot find my settings"


async def test_a_silent_legacy_server_is_initialized_after_a_while(tmp_path: Path) -> None:
    far = Moody(tmp_path, "silent_on_probe")
    async with kept(far.definition()) as up:
        await up.ready()
        assert not up.sessions[0].modern
        assert len(far.starts) == 1


async def test_a_modern_server_that_starts_more_slowly_than_the_probe_waits_is_still_recognised(tmp_path: Path) -> None:
    far = Moody(tmp_path, "modern_only sleeps")
    async with kept(far.definition()) as up:
        await up.ready()
        assert up.sessions[0].modern
        assert len(far.starts) == 1


async def test_a_server_that_dies_on_the_probe_after_a_slow_start_is_started_again(tmp_path: Path) -> None:
    far = Moody(tmp_path, "dies_on_probe sleeps")
    async with kept(far.definition()) as up:
        await up.until(lambda: len(far.starts) == 2 and up.agent.state is State.READY)
        assert up.agent.failures == {}


@pytest.mark.parametrize(
    ("remembered", "mood"),
    [(Era.LEGACY, "modern_only"), (Era.MODERN, ""), (Era.MODERN, "dies_on_probe"), (Era.MODERN, "refuses_602")],
)
async def test_a_verdict_that_no_longer_holds_is_forgotten_at_once(tmp_path: Path, remembered: Era, mood: str) -> None:
    far = Moody(tmp_path, mood)
    book = remembering(remembered)
    async with kept(far.definition(), book=book) as up:
        await up.ready()
        assert up.agent.failures == {}
    assert book.recall("up") not in (remembered, Era.AUTO)


async def test_a_modern_verdict_about_a_server_gone_silent_is_forgotten(tmp_path: Path) -> None:
    far = Moody(tmp_path, "silent_on_probe")
    async with kept(far.definition(startup_timeout_s=4.0), book=remembering(Era.MODERN)) as up:
        await up.ready(20)
        assert not up.sessions[0].modern


async def test_a_remembered_verdict_saves_the_probe(tmp_path: Path) -> None:
    far = Moody(tmp_path)
    async with kept(far.definition(), book=remembering(Era.LEGACY)) as up:
        await up.ready()
        assert far.methods()[0] == "initialize"


@pytest.mark.parametrize(
    ("era", "mood", "first"), [(Era.LEGACY, "", "initialize"), (Era.MODERN, "modern_only", "server/discover")]
)
async def test_an_era_fixed_in_the_file_is_neither_probed_nor_remembered(
    tmp_path: Path, era: Era, mood: str, first: str
) -> None:
    far = Moody(tmp_path, mood)
    book = EraBook(None)
    async with kept(far.definition(era=era), book=book) as up:
        await up.ready()
        assert far.methods()[0] == first
        assert book.recall("up") is Era.AUTO


async def test_an_era_fixed_wrongly_is_an_error_that_says_so(tmp_path: Path) -> None:
    far = Moody(tmp_path, "modern_only")
    async with kept(far.definition(era=Era.LEGACY, restart=PATIENT)) as up:
        await up.state(State.PARKED)
        assert up.reasons[-1] == "upstream 'up' refused the handshake: Method not found"


async def test_an_unknown_protocol_version_is_refused(tmp_path: Path) -> None:
    far = Moody(tmp_path, "odd_version")
    async with kept(far.definition(restart=PATIENT)) as up:
        await up.state(State.PARKED)
        assert up.agent.failures == {"upstream_protocol_error": 1}
        assert "unknown protocol version" in str(up.reasons[-1])


async def test_a_server_that_never_answers_initialize_fails_at_the_startup_timeout(tmp_path: Path) -> None:
    far = Moody(tmp_path, "no_initialize")
    async with kept(far.definition(startup_timeout_s=0.5, restart=PATIENT)) as up:
        await up.state(State.PARKED)
        assert up.reasons[-1] == "upstream 'up' was not ready within 0.5 s"


# -- HTTP --------------------------------------------------------------------------------------------------------


async def test_a_dead_port_is_an_outage_and_no_verdict_on_the_era() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/mcp"
        book = remembering(Era.MODERN)
        async with kept(defined(http(url), transport="http", restart=PATIENT), book=book) as up:
            await up.state(State.PARKED)
            assert up.reasons[-1] == "upstream 'up' cannot be reached: connection refused"
        assert book.recall("up") is Era.MODERN


def answering(status: int, **headers: str) -> Any:
    async def script(request: Request, wire: Wire) -> None:
        await wire.whole(status, b"", **headers)

    return script


async def test_refused_credentials_wait_for_somebody() -> None:
    async with scripted(answering(401)) as server, kept(defined(http(server.url), transport="http")) as up:
        await up.state(State.NEEDS_AUTH)
        assert up.agent.failures == {"upstream_auth": 1}
        assert len(server.requests) == 1


async def test_an_address_without_an_mcp_server_is_named_with_its_status() -> None:
    async with scripted(answering(404)) as server:
        definition = defined(http(server.url), fallback=sse(server.url), transport="http", restart=PATIENT)
        async with kept(definition) as up:
            await up.state(State.PARKED)
            assert up.reasons[-1] == "upstream 'up' answered with HTTP 404"
            assert [request.verb for request in server.requests] == ["POST", "POST", "GET"]


async def test_a_server_that_only_speaks_http_sse_is_found_under_type_http() -> None:
    async with serving(sse_app(Everything().server())) as url:
        definition = defined(http(f"{url}/sse"), fallback=sse(f"{url}/sse"), transport="http")
        async with kept(definition) as up:
            await up.ready()
            assert (up.agent.failures, up.sessions[0].modern) == ({}, False)
            assert (await up.call("echo", text="x"))["content"][0]["text"] == "x"


async def test_a_server_that_was_only_missing_for_a_moment_is_reached_over_streamable_http_again() -> None:
    missing = True

    async def script(request: Request, wire: Wire) -> None:
        if missing or request.verb != "POST":
            await wire.whole(404, b"")
        elif request.json["method"] == "initialize":
            await wire.result(request, {"protocolVersion": "2025-11-25", "capabilities": {}})
        elif "id" in request.json:
            await wire.json({"jsonrpc": "2.0", "id": request.json["id"], "error": {"code": -32601, "message": "no"}})
        else:
            await wire.whole(202, b"")

    async with scripted(script) as server:
        definition = defined(http(server.url), fallback=sse(server.url), transport="http")
        async with kept(definition) as up:
            await up.until(lambda: bool(up.agent.failures))
            missing = False
            await up.ready()


async def test_an_upstream_that_asks_to_be_left_alone_is() -> None:
    async with (
        scripted(answering(503, retry_after="30")) as server,
        kept(defined(http(server.url), transport="http")) as up,
    ):
        await up.state(State.BACKOFF)
        wait_s = up.agent.lifecycle.next_attempt_s - anyio.current_time()
        assert 25 < wait_s <= 30
        assert len(server.requests) == 1
