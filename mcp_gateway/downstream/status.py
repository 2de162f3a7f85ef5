"""The process in a page: what `status`, `sysinfo`, metrics and alerts are told of this moment.

Reads what the parts count, changes nothing. Each is told what its caller may use, and of the process what its
caller's scopes allow.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mcp_gateway.cache import Cache
from mcp_gateway.call import Call, Client
from mcp_gateway.catalog import View
from mcp_gateway.downstream import views
from mcp_gateway.downstream.endpoint import Endpoint
from mcp_gateway.downstream.sessions import Sessions
from mcp_gateway.gateway import Gateway
from mcp_gateway.observe.alerts import Alerts
from mcp_gateway.observe.calls import Calls
from mcp_gateway.observe.memory import MemoryWatch
from mcp_gateway.observe.reading import Ending, Reading


@dataclass(frozen=True, slots=True)
class Status:
    """The state of one process. `config` tells of its file, `endings` of logins and keys that end."""

    gateway: Gateway
    sessions: Sessions
    endpoint: Endpoint
    cache: Cache
    calls: Calls
    alerts: Alerts
    memory: MemoryWatch
    config: Callable[[], Mapping[str, Any]]
    endings: Callable[[], Sequence[Ending]]

    def of(self, client: Client) -> dict[str, Any]:
        """For REST and the command line; the file and the memory are the business of who may change them."""
        view = self.gateway.showcase.view(client)
        is_admin = "admin" in client.principal.scopes
        return {
            **views.status(self.gateway, view),
            "sessions": len(self.sessions),
            "in_flight": self.endpoint.in_flight.count,
            "alerts": self._alerts(view, is_admin),
            "memory": self._memory() if is_admin else None,
            "config": self.config() if is_admin else None,
        }

    def health(self, call: Call) -> dict[str, Any]:
        """For `sysinfo`."""
        summary = views.status(self.gateway, self.gateway.showcase.view(call.client))
        return {
            "version": summary["version"],
            "tools": summary["tools"],
            "sessions": len(self.sessions),
            "in_flight": self.endpoint.in_flight.count,
            "cache": views.cache(self.cache.stats()),
            "servers": [
                {key: server[key] for key in ("name", "state", "revision", "tools")} for server in summary["servers"]
            ],
        }

    def reading(self) -> Reading:
        """For metrics and alerts."""
        in_flight = self.endpoint.in_flight.count
        now = views.reading(self.gateway, self.sessions.clients, in_flight, self.cache.stats(), self.calls)
        return replace(now, endings=self.endings())

    def _alerts(self, view: View, is_admin: bool) -> list[dict[str, Any]]:
        """The names of keys are the business of who may change them."""
        return [
            {"alert": held.name, "server": held.server, "text": text}
            for held, text in self.alerts.firing.items()
            if (held.server is None or view.admits_server(held.server)) and (held.key is None or is_admin)
        ]

    def _memory(self) -> dict[str, Any]:
        return {"shedding": self.memory.reason, "episodes": self.memory.episodes}
