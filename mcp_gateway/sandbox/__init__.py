"""Running somebody else's program without letting it reach anything of ours.

A `Request` and `Limits` enter, an `Outcome` leaves. `select` picks the first backend (bubblewrap, Landlock, a
configured container) that passes its own self-test here; there is no fallback to running unconfined. The room knows
nothing of tools, upstreams or callers.

    select(preference) -> Sandbox | Unavailable        Sandbox.run(request, limits) -> Outcome
    Sandbox.wrap_command(argv, ...) -> argv            the same walls around a long-lived child with pipes of its own
"""

from .model import (
    Attempt,
    Backend,
    Container,
    Engine,
    Killed,
    Limits,
    Network,
    Outcome,
    Probe,
    Progress,
    Request,
    Unavailable,
)
from .runner import Sandbox, SandboxFailed
from .selection import BACKENDS, attempt, select

__all__ = [
    "BACKENDS",
    "Attempt",
    "Backend",
    "Container",
    "Engine",
    "Killed",
    "Limits",
    "Network",
    "Outcome",
    "Probe",
    "Progress",
    "Request",
    "Sandbox",
    "SandboxFailed",
    "Unavailable",
    "attempt",
    "select",
]
