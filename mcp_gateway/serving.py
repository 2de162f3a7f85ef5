"""The doors of a process, opened and served until its end: HTTP until a signal, stdio until its input ends.

An `App` enters, and what it is to listen on. How a door works is the business of `downstream`.
"""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

import anyio
from mcp.server.runner import serve_dual_era_loop

from mcp_gateway.app import App
from mcp_gateway.downstream.http import http_app
from mcp_gateway.downstream.server import HttpServer, address, bind
from mcp_gateway.downstream.signals import obey_signals
from mcp_gateway.downstream.stdio import claim, stdio_streams
from mcp_gateway.wiring import http_rules, transport

if TYPE_CHECKING:
    from mcp_gateway.observe.metrics import Metrics

logger = logging.getLogger(__name__)


async def serve_http(app: App, host: str, port: int, on_ready: Callable[[str], None]) -> None:
    """Serve `/mcp`, `/sse` and REST until a signal; `on_ready` gets `http://HOST:PORT`.

    Raises BadConfig, PortBusy.
    """
    app.access.host = host
    app.access.check_start()
    listener = bind(host, port, guarded=app.access.is_guarded)
    way_in = transport(app.config)
    url = address(listener, way_in)
    metrics = _metrics(app) if app.config.observability.metrics else None
    rules = http_rules(app.config, host)
    render = None if metrics is None else metrics.render
    doors = http_app(app.gateway, app.endpoint, rules, app.process, app.access, render, app.desk)
    server = HttpServer(doors, app.endpoint.in_flight, lambda: _ready(app, url, on_ready), way_in)
    try:
        async with app.running() as group:
            if metrics is not None:
                group.start_soon(metrics.run)
            group.start_soon(obey_signals, app.reloading.reload, server.stop, server.stop_now)
            await server.serve(sockets=[listener])
    finally:
        app.run_file.remove()
        listener.close()


async def serve_stdio(app: App) -> None:
    """Serve standard input and output until the input ends or a signal arrives."""
    input_fd, output_fd = claim()
    stopping = anyio.Event()

    async def stop() -> None:
        stopping.set()

    async with app.running() as group:
        with anyio.CancelScope() as serving:
            group.start_soon(obey_signals, app.reloading.reload, stop, serving.cancel)
            async with stdio_streams(input_fd, output_fd, app.config.limits.max_body, stopping) as streams:
                await serve_dual_era_loop(app.endpoint.server, *streams, lifespan_state=None)


def _metrics(app: App) -> Metrics:
    from mcp_gateway.observe.metrics import Metrics  # its library takes 50 ms, which other commands spare

    metrics = Metrics(lambda: app.config.servers, app.status.reading)
    app.events.subscribe(metrics.hear)
    return metrics


def _ready(app: App, url: str, on_ready: Callable[[str], None]) -> None:
    gc.freeze()  # what was imported and built stays until the end: collections need not go through it again and again
    try:
        running = app.run_file.write(url + app.config.server.base_path)
        app.access.authentication.local_token = running.token
    except OSError as refused:
        logger.warning("app.run_file_not_written reason=%s", refused.strerror)
    on_ready(url)
