"""Rows of links.parquet from the relay's cumulative counters: scheduled and delivered, per link end and interval.

Invariant: the rows of an end add up to its last counters; an interval in which an end carried and dropped nothing has
no row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import sub
from typing import NamedTuple

from emulator.link.stats import DROPS, EndStats
from emulator.record.folder import RunFolder
from emulator.record.spool import Columns, Spool

INTERVAL_S = 1.0
CAUSES = tuple(drop.name.removeprefix("DROP_").lower() for drop in DROPS)  # queue, loss, outage, …

Counters = Sequence[float]  # indexed by EndStats
UNCERTAIN = 0.02
# Plain numbers, several times as quick as members of an enumeration.
_SENT_PACKETS, _DELIVERED_PACKETS = int(EndStats.SENT_PACKETS), int(EndStats.DELIVERED_PACKETS)
_DROP_NOROUTE, _DROP_TTL = int(EndStats.DROP_NOROUTE), int(EndStats.DROP_TTL)
_FIRST_DROP, _LAST_DROP = int(DROPS[0]), int(DROPS[-1])
_ASKED_DELAY_SUM_S, _LATE_MAX_S = int(EndStats.ASKED_DELAY_SUM_S), int(EndStats.LATE_MAX_S)
_DUPLICATED = int(EndStats.DUPLICATED)
ZERO: Counters = [0.0] * len(EndStats)


class LinkInterval(NamedTuple):
    """What one link end did in one interval. Delays are means over packets, None where no packet gives one."""

    t_s: float  # end of the interval
    interval_s: float
    end: str
    asked_delay_ms: float | None  # propagation and jitter that the schedule asked for
    delivered_delay_ms: float | None  # the same plus lateness
    late_ms: float | None  # real minus asked time of packets written to a port; transit hops write to none
    late_max_ms: float  # largest since the start of play
    asked_bps: float  # offered by the sender
    delivered_bps: float
    sent_packets: int
    sent_bytes: int
    delivered_packets: int
    delivered_bytes: int
    drop_queue: int
    drop_loss: int
    drop_outage: int
    drop_overload: int
    drop_noroute: int
    drop_ttl: int
    duplicated: int
    corrupted: int

    @property
    def drops(self) -> int:
        return (
            self.drop_queue + self.drop_loss + self.drop_outage + self.drop_overload + self.drop_noroute + self.drop_ttl
        )


LINK_COLUMNS: Columns = {
    name: "text" if name == "end" else "f64" if name.endswith(("_s", "_ms", "_bps")) else "i64"
    for name in LinkInterval._fields
}


def interval(
    end: str, t_s: float, interval_s: float, before: Counters, after: Counters, known: Counters
) -> LinkInterval | None:
    """Difference of two readings of one end's counters; None where nothing was sent, delivered or dropped.

    `known` is the reading at which the scheduled delay was last known. The relay adds a delay up when a packet departs
    but counts the packet when it arrives, so a mean is computed only if few packets are in flight: good to some 2 % in
    steady traffic, and 5 % were seen in a second in which a TCP flow started.
    """
    (
        sent_packets, sent_bytes, delivered, delivered_bytes,
        drop_queue, drop_loss, drop_outage, drop_overload, drop_noroute, drop_ttl,
        _, late_s, _, duplicated, corrupted,
    ) = map(sub, after, before)  # fmt: skip  # in the order of EndStats; thousands of times a second
    if not (
        sent_packets or delivered or drop_queue or drop_loss or drop_outage or drop_overload or drop_noroute or drop_ttl
    ):
        return None
    crossed = _crossed(after) - _crossed(known)
    asked_ms = None
    if crossed > 0:
        asked_s = (after[_ASKED_DELAY_SUM_S] - known[_ASKED_DELAY_SUM_S]) / crossed
        # in flight: at most the packets inside, and about those that cross during the delay
        change_under_way = min(abs(_inside(after) - _inside(known)), 1 + 2 * crossed * asked_s / interval_s)
        if change_under_way <= UNCERTAIN * crossed:
            asked_ms = 1e3 * asked_s
    late_ms = 1e3 * late_s / delivered if delivered else None
    return LinkInterval(
        t_s,
        interval_s,
        end,
        asked_ms,
        asked_ms + late_ms if asked_ms is not None and late_ms is not None else None,
        late_ms,
        1e3 * after[_LATE_MAX_S],
        8 * sent_bytes / interval_s,
        8 * delivered_bytes / interval_s,
        int(sent_packets),
        int(sent_bytes),
        int(delivered),
        int(delivered_bytes),
        int(drop_queue),
        int(drop_loss),
        int(drop_outage),
        int(drop_overload),
        int(drop_noroute),
        int(drop_ttl),
        int(duplicated),
        int(corrupted),
    )


def _crossed(counters: Counters) -> float:
    """Packets that reached the far end: delivered, or dropped by the transit node there."""
    return counters[_DELIVERED_PACKETS] + counters[_DROP_NOROUTE] + counters[_DROP_TTL]


def _inside(counters: Counters) -> float:
    """Packets waiting or under way, by the conservation of packets that `EndStats` promises."""
    entered = counters[_SENT_PACKETS] + counters[_DUPLICATED]
    return entered - counters[_DELIVERED_PACKETS] - sum(counters[_FIRST_DROP : _LAST_DROP + 1])


def drops_by_cause(counters: Mapping[int, Counters]) -> dict[str, int]:
    """Sum over all ends: {"queue": 3, "loss": 0, …}."""
    return {
        cause: int(sum([values[drop] for values in counters.values()]))
        for cause, drop in zip(CAUSES, map(int, DROPS), strict=True)
    }


class LinkLog(Spool):
    """links.parquet. `names` are the ends' names by number; counters are those of the relay's stats messages."""

    def __init__(self, folder: RunFolder, names: Sequence[str], interval_s: float = INTERVAL_S) -> None:
        super().__init__(folder.path, "links", LINK_COLUMNS, folder.warn)
        self.latest: list[LinkInterval] = []  # of the last interval, for the live screen
        self.counters: dict[int, Counters] = {}  # last reading of every end that ever carried something
        self._names = names
        self._interval_s = interval_s
        self._before: dict[int, Counters] = {}
        self._known: dict[int, Counters] = {}  # where the asked delay was last known
        self._changed: set[int] = set()
        self._since_s = 0.0
        self._at_s = 0.0

    def update(self, t_s: float, counters: Mapping[int, Counters], *, final: bool = False) -> None:
        """Take a reading of some ends at `t_s`; ends that have not changed may be left out.

        A reading may come in several messages of one `t_s`, so an interval is closed by the first later one, and the
        last by the one that is `final`.
        """
        if t_s > self._at_s:
            if self._at_s - self._since_s >= self._interval_s * 0.999:
                self._cut()
            self._at_s = t_s
        self.counters.update(counters)
        self._changed.update(counters)
        if final:
            self._cut()

    def close(self) -> None:
        if self._changed:
            self._cut()
        super().close()

    def _cut(self) -> None:
        passed_s = self._at_s - self._since_s
        self.latest = []
        for end in sorted(self._changed) if passed_s > 0 else ():
            after = self.counters[end]
            before, known = self._before.get(end, ZERO), self._known.get(end, ZERO)
            row = interval(self._names[end], self._at_s, passed_s, before, after, known)
            if row is not None:
                if row.asked_delay_ms is not None:
                    self._known[end] = after
                self.latest.append(row)
                self.add(row)
            self._before[end] = after
        self._changed.clear()
        self._since_s = self._at_s
