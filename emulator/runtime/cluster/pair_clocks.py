"""The clocks of all hosts beside each other, as the probes of their trunks show them.

Invariant: pure. The clock that counts is that of host 0; pairs without it are a check on those with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import Any

from emulator.record.verdict.schema import ClockFigures
from emulator.runtime.cluster.clocks import Estimate, PeerClock, Probe


class PairClocks:
    """One PeerClock a pair of hosts: that which the host that asks has of the other."""

    def __init__(self) -> None:
        self._clocks: dict[tuple[int, int], PeerClock] = {}  # by who asks, and whom

    def note(self, host: int, report: Mapping[str, Any]) -> list[str]:
        """Take in the probes of a host's report; returns what they show of its clock that is new, in words."""
        changes = []
        for peer, trunk in report.get("trunks", {}).items():
            for asker, *times_ns in trunk.get("probes", ()):
                if asker == host:  # the other host tells of the rest
                    change = self._clocks.setdefault((host, peer), PeerClock()).add(Probe(*times_ns))
                    if change and not peer:
                        changes.append(f"its clock {change}, by that of host 0")
        return changes

    def between(self, one: int, other: int) -> tuple[float, Estimate] | None:
        """The clock of `other` less that of `one`, in seconds, and the estimate from which it comes."""
        for asker, asked, sign in ((one, other, 1), (other, one, -1)):
            clock = self._clocks.get((asker, asked))
            estimate = clock.estimate() if clock is not None else None
            if estimate is not None:
                return sign * estimate.offset_ns * 1e-9, estimate
        return None

    def figures(self) -> ClockFigures:
        """`clock` of the verdict; empty without probes."""
        hosts = sorted({host for pair in self._clocks for host in pair})
        to_lead = {host: found for host in hosts if host and (found := self.between(0, host)) is not None}
        if not to_lead:
            return {}
        checks = [
            abs(found[0] - (to_lead[other][0] - to_lead[one][0]))
            for one, other in combinations(sorted(to_lead), 2)
            if (found := self.between(one, other)) is not None
        ]
        steps_s = [step_s for clock in self._clocks.values() for step_s in clock.steps_s]
        return {
            "offset_us": max((offset_s for offset_s, _ in to_lead.values()), key=abs) * 1e6,
            "bound_us": max(estimate.bound_s for _, estimate in to_lead.values()) * 1e6,
            "spread_us": max(estimate.spread_s for _, estimate in to_lead.values()) * 1e6,
            "check_us": max(checks, default=0.0) * 1e6,
            "stepped_us": max((abs(step_s) for step_s in steps_s), default=0.0) * 1e6,
            "slewed": sum(clock.slewed for clock in self._clocks.values()),
        }
