"""The nodes at the far ends of captured moving links, read from the rows of the schedule ahead of play.

Invariant: each handover is reported once, with the scenario time from which it holds. Where rows were overwritten
before they were read, the newest row gives their result.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from emulator.schedule.reader import ScheduleReader

if TYPE_CHECKING:
    from emulator.model.network import Network
    from emulator.schedule.reader import RowSource


class UpcomingHandover(NamedTuple):
    """From `t_s` on node `after` is at the far end of the link, and no longer node `before`; -1: nobody."""

    t_s: float
    link: int
    before: int
    after: int


class UpcomingHandovers:
    """Follows the moving links among those of `ends`; `step` is the first whose row counts."""

    def __init__(self, network: Network, rows: RowSource | None, ends: Iterable[int], step: int = 0) -> None:
        self._links = sorted({end // 2 for end in ends if network.links[end // 2].moving})
        self._schedule = ScheduleReader(network, rows)
        self._seen = step
        serving = self._schedule.serving(step, self._links)
        self.far = dict(zip(self._links, serving or [network.links[link].b for link in self._links], strict=True))

    def news(self) -> list[UpcomingHandover]:
        """What has become known since the last time."""
        found: list[UpcomingHandover] = []
        schedule = self._schedule
        while self._links and self._seen < schedule.latest:
            step = self._seen + 1
            serving = schedule.serving(step, self._links)
            if serving is None:
                step = schedule.latest
                serving = schedule.serving(step, self._links)
            for (link, before), after in zip(list(self.far.items()), serving or self.far.values(), strict=True):
                if after != before:
                    found.append(UpcomingHandover(step * schedule.step_s, link, before, after))
                    self.far[link] = after
            self._seen = step
        return found
