"""The schedule of a finished run, recomputed from its scenario, and its contacts, from the recorded events.

Invariant: rows are pure functions of their step, so scheduled values are those of the run. To compute a far step may
take a while; until then it has no row, and values from it are left out.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from emulator.observe.schedule_view import CONTACTS, ScheduleView
from emulator.observe.snapshot import ContactRow, WorldMap
from emulator.schedule.reader import EndValues
from emulator.schedule.recomputed import RecomputedRows

if TYPE_CHECKING:
    from emulator.model.network import Network, ScheduleRow

ROWS_KEPT = 64
AHEAD = 16  # steps computed at once on the way to a far one
SPANS_AROUND = 24  # of each link, around the cursor

Served = dict[str, list[tuple[float, str, str]]]  # by link: when, before, after


class ReplayRows(RecomputedRows):
    """The rows of a run; a far one is available only after `reach` has prepared it."""

    def __init__(self, network: Network, steps: int) -> None:
        super().__init__(network.timeline, max(1, steps), ROWS_KEPT)
        self.reached = -1  # rows up to this one are available quickly

    def reach(self, step: int, more_time: Callable[[], bool]) -> bool:
        """Prepare the row of `step`; returns False if there was no more time."""
        if self._timeline is None or step in self._rows:
            return True
        step = min(max(0, step), self.latest)
        walk = getattr(self._timeline, "instants", None)
        while walk is not None and self.reached < step - AHEAD:
            for _ in walk(self.reached + 1, AHEAD):
                self.reached += 1
            if not more_time():
                return False
        self.reached = max(self.reached, step)
        self.row(step)
        return True

    def row(self, step: int) -> ScheduleRow:
        if step > self.reached + AHEAD and step not in self._rows:
            raise LookupError(f"row {step} has not been computed")
        row = super().row(step)
        self.reached = max(self.reached, step)
        return row


class ReplayScheduleView(ScheduleView):
    """The schedule of a finished run; contacts come from its recorded handovers."""

    def __init__(self, network: Network, rows: ReplayRows, served: Served, until_s: float) -> None:
        super().__init__(network, rows)
        self._spans = {link: spans_of(changes, until_s) for link, changes in served.items()}
        self._until_s = until_s

    def scheduled(self, end: int, t_s: float) -> EndValues:
        """As in a live run; the delay is NaN if the row is not available yet."""
        return self.schedule.values(end, t_s) or EndValues(float("nan"), float("inf"), 0.0, True, -1)

    def world(self, t_s: float, pairs: Iterable[tuple[str, str]]) -> WorldMap | None:
        """As in a live run, with all positions at exactly this instant."""
        self._mapped_s = float("-inf")
        return super().world(t_s, pairs)

    def contacts(self, t_s: float, selected: Iterable[int] | None = None) -> list[ContactRow]:
        """The far nodes of each moving link before and after the cursor."""
        found: list[ContactRow] = []
        peers = self.schedule.read_at(t_s, lambda row: row.peer[::2].tolist())
        for link in list(self._moving if selected is None else selected)[:CONTACTS]:
            spec = self._network.links[link]
            spans = self._spans.get(spec.name)
            if spans is None:
                spans = [(0.0, self._until_s, self._name(peers[link] if peers is not None else -1))]
            now = bisect_right(spans, t_s, key=lambda span: span[0])
            shown = spans[max(0, now - SPANS_AROUND // 2) : now + SPANS_AROUND // 2]
            found.append({"link": spec.name, "node": self._network.nodes[spec.a].name, "spans": shown})
        return found


def served_by(handovers: Iterable[tuple[float, str, str, str]]) -> Served:
    """Handovers (time, link, before, after) by link."""
    served: Served = defaultdict(list)
    for t_s, link, before, after in handovers:
        served[link].append((t_s, before, after))
    return dict(served)


def spans_of(changes: Sequence[tuple[float, str, str]], until_s: float) -> list[tuple[float, float, str]]:
    """The spans of a link's far nodes, from the beginning of play to `until_s`, from its handovers in order."""
    begins = [(0.0, changes[0][1]), *((t_s, after) for t_s, _, after in changes)]
    ends = [*(begin for begin, _ in begins[1:]), max(until_s, begins[-1][0])]
    return [(begin, end, node) for (begin, node), end in zip(begins, ends, strict=True)]
