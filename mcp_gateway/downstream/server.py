"""Serving: uvicorn with a start and a stop of our own.

Stop, as the design promises: no new work, calls in flight may finish for ten
seconds, then everything ends; a second signal ends it at once.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec

import anyio
import uvicorn
from sse_starlette.sse import AppStatus
from starlette.types import ASGIApp

from mcp_gateway.downstream.admission import Admission, room_for
from mcp_gateway.downstream.http_wire import Bounds, HttpWire
from mcp_gateway.downstream.inflight import InFlight
from mcp_gateway.downstream.socket_wire import SocketWire
from mcp_gateway.errors import BadConfig, PortBusy
from mcp_gateway.security.addresses import is_loopback

logger = logging.getLogger(__name__)

DRAIN_WITHIN_S = 10.0
"""What calls in flight get to finish (design, decision 14)."""

BACKLOG = 2048

MAX_FRAME_BYTES = 1024 * 1024
FRAMES_HELD = 8
PING_S = 20.0
"""Of a WebSocket (security facts, R-WS-1): the largest message, those that wait to be read, and the time between two
signs of life, after which one that gives none is closed."""

DEFAULT_BOUNDS = Bounds()


def bind(host: str, port: int, *, guarded: bool = False) -> socket.socket:
    """A listening socket; `port` 0 takes any free one.

    Raises:
        BadConfig: the address is not loopback, and nothing would check who comes in (not `guarded`).
        PortBusy: another program listens there.
    """
    if not guarded and not is_loopback(host):
        fix = "make one with: mcp-gateway keys create NAME, or use 127.0.0.1"
        raise BadConfig(f"server.host: {host!r} is not a loopback address, and no keys exist; {fix}")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # asyncio: no Nagle only when it says TCP
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as refused:
        listener.close()
        raise PortBusy(f"cannot listen on {host}:{port} ({refused.strerror}); use --port 0 or another port") from None
    listener.listen(BACKLOG)
    listener.setblocking(False)
    return listener


@dataclass(frozen=True, slots=True)
class Transport:
    """How the HTTP doors are reached: PEM files for https, and the proxies whose `X-Forwarded-*` is believed."""

    certificate: str | None = None
    key: str | None = None
    trusted_proxies: tuple[str, ...] = ()

    @property
    def scheme(self) -> str:
        return "http" if self.certificate is None else "https"


class HttpServer(uvicorn.Server):
    """uvicorn without its signal handlers; `stop` drains first."""

    def __init__(
        self,
        app: ASGIApp,
        in_flight: InFlight,
        on_started: Callable[[], None],
        transport: Transport,
        ping_s: float = PING_S,
        bounds: Bounds = DEFAULT_BOUNDS,
    ) -> None:
        self.admission = Admission(room_for(bounds.caps), transport.trusted_proxies)
        loop = "uvloop" if find_spec("uvloop") else "asyncio"
        super().__init__(
            uvicorn.Config(
                app,
                loop=loop,
                http=partial(HttpWire, bounds, self.admission),  # type: ignore[arg-type]  # called like a class
                timeout_keep_alive=bounds.idle_s,  # type: ignore[arg-type]  # seconds of call_later
                ws=SocketWire,
                ws_max_size=MAX_FRAME_BYTES,
                ws_max_queue=FRAMES_HELD,
                ws_ping_interval=ping_s,
                ws_ping_timeout=ping_s,
                ws_per_message_deflate=False,
                access_log=False,
                log_config=None,
                lifespan="on",
                server_header=False,
                timeout_graceful_shutdown=2,
                ssl_certfile=transport.certificate,
                ssl_keyfile=transport.key,
                proxy_headers=bool(transport.trusted_proxies),
                forwarded_allow_ips=list(transport.trusted_proxies),
            )
        )
        AppStatus.enable_automatic_graceful_drain = False
        AppStatus.should_exit = False
        self._in_flight = in_flight
        self._on_started = on_started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_started()

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Signals are the composition root's."""
        yield

    async def stop(self) -> None:
        """Refuse new connections, let calls finish, then end every stream."""
        for server in self.servers:
            server.close()
        with anyio.move_on_after(DRAIN_WITHIN_S):
            await self._in_flight.none()
        AppStatus.should_exit = True
        self.should_exit = True

    def stop_now(self) -> None:
        AppStatus.should_exit = True
        self.should_exit = self.force_exit = True


def address(listener: socket.socket, transport: Transport) -> str:
    """`http://HOST:PORT` or `https://HOST:PORT` of a listening socket."""
    host, port = listener.getsockname()[:2]
    return f"{transport.scheme}://[{host}]:{port}" if ":" in host else f"{transport.scheme}://{host}:{port}"
