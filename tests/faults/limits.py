"""What a gateway is held to, whatever one of its upstreams does (docs/reliability.md)."""

from __future__ import annotations

from dataclasses import dataclass, replace

LEFT_S = 5.0
"""How long after a stop a child may still be ending."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a gateway is held to: seconds and MiB. `codes`: a failure has the stable code of its case."""

    up_s: float = 1.5
    sibling_up_s: float = 2.0
    sibling_s: float = 0.5
    first_listing_s: float = 3.5
    listing_s: float = 0.5
    at_once_s: float = 0.25
    flood_s: float = 3.0
    past_deadline_s: float = 1.0
    heal_s: float = 15.0
    memory_mib: float = 100.0
    stop_s: float = 14.0
    codes: bool = True

    def stretched(self, times: float) -> Limits:
        """For a machine that is shared: what happens in a moment may take several times as long."""
        return replace(
            self,
            up_s=self.up_s * times,
            sibling_up_s=self.sibling_up_s * times,
            sibling_s=self.sibling_s * times,
            first_listing_s=self.first_listing_s + self.listing_s * times,
            listing_s=self.listing_s * times,
            at_once_s=self.at_once_s * times,
            flood_s=self.flood_s * times,
            past_deadline_s=self.past_deadline_s * times,
        )


PROMISED = Limits()

BEARABLE = Limits(
    up_s=25.0,
    sibling_up_s=25.0,
    sibling_s=3.0,
    first_listing_s=25.0,
    listing_s=3.0,
    at_once_s=1.0,
    memory_mib=400.0,
    codes=False,
)
"""What other gateways are held to, who never promised our numbers (the fault plan's common criteria)."""
