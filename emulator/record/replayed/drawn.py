"""Decisions that link ends draw: random losses, duplicates and jitter, against the streams that the seed gives.

The packet engine draws from a stream a link end and effect, one number for each packet that reaches the effect
(`emulator/link/engine/effects.c`): the n-th packet of an end is lost, or not, in every run of the seed. The counters of
links.parquet say after each interval how many packets left an end at least and at most, how many of them were lost, and
the sum of their delays. What the streams give for so many packets must be what each run counted.

Invariant: an end counts only while its loss (its delay) is one value, by its schedule and by the actions on it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import inf
from random import Random
from typing import TYPE_CHECKING, NamedTuple

from emulator.record.replayed.constants import Constants
from emulator.record.replayed.finding import Finding

if TYPE_CHECKING:
    from emulator.model.network import Effects, Network
    from emulator.record.load import Run

MOST_PACKETS = 300_000  # of an end whose decisions are drawn again
SKEW_PACKETS = 8  # by which counters of both halves of an end may be of different instants
EXACT = 1e-7  # of a sum of delays, for what addition in another order changes


class Count(NamedTuple):
    """Counters of an end since the start of play, at the end of an interval."""

    t_s: float
    least: int  # packets that have left the end, lost ones too
    most: int
    lost: int
    duplicated: int
    delay_sum_s: float | None  # of departed copies; None where the interval does not tell


Fits = Callable[["Draws", Count], bool]  # whether the draws give what was counted


class Draws:
    """What the streams of a link end give, as far as somebody has asked."""

    def __init__(self, label: str, effects: Effects, loss: float) -> None:
        self._effects, self._loss = effects, loss
        names = ("loss", "burst", "duplicate", "corrupt", "jitter")
        self._loss_of, self._burst, self._duplicate, self._corrupt, self._jitter = (
            Random(f"{label}{name}").random for name in names
        )
        self._bad = False
        self.lost, self.duplicated, self.copies = [0], [0], [0]  # after so many packets
        self.jitter_s = [0.0]

    def upto(self, packets: int) -> None:
        """Draw for the first so many packets."""
        effects = self._effects
        while len(self.lost) <= packets:
            lost = (self._loss > 0 and self._loss_of() < self._loss) or self._lost_in_burst()
            copies = 0 if lost else 1 + (effects.duplicate > 0 and self._duplicate() < effects.duplicate)
            jitter_s = 0.0
            for _ in range(copies):
                if effects.corrupt > 0 and self._corrupt() < effects.corrupt:
                    self._corrupt()  # which bit
                if effects.jitter_s > 0:
                    jitter_s += self._jitter() * 2 * effects.jitter_s
            self.lost.append(self.lost[-1] + lost)
            self.duplicated.append(self.duplicated[-1] + (copies == 2))
            self.copies.append(self.copies[-1] + copies)
            self.jitter_s.append(self.jitter_s[-1] + jitter_s)

    def _lost_in_burst(self) -> bool:
        chain = self._effects.burst_loss
        if chain is None:
            return False
        if self._burst() < (chain.bad_to_good if self._bad else chain.good_to_bad):
            self._bad = not self._bad
        return self._burst() < (chain.loss_bad if self._bad else chain.loss_good)


def drawn(first: Run, second: Run, network: Network, seed: int, constants: Constants) -> list[Finding]:
    """What can be said of each link end that draws and was used in both runs."""
    runs = (first, second)
    counts = [_counts(run) for run in runs]
    found: list[Finding] = []
    for end in range(2 * len(network.links)):
        name, effects = network.end_name(end), network.end_spec(end).effects
        if any(name not in of_run for of_run in counts):
            continue
        constant = constants.of(end)
        both = [of_run[name] for of_run in counts]
        random = effects.burst_loss is not None or effects.duplicate > 0 or effects.jitter_s > 0
        if not random and constant.loss == 0 and constant.loss_all_along:
            continue
        if constant.loss is None:
            if random or any(of_run[-1].lost for of_run in both):
                found.append(Finding("losses", name, 0, 0, "its loss changes over time, by when packets leave"))
            continue
        if not random and constant.loss == 0:
            note = f"an action changes its loss from {constant.loss_until_s:.3f} s on"
            found.append(Finding("losses", name, 0, 0, note))
            continue
        draws = Draws(f"{seed}/link/{name}/", effects, constant.loss)
        if constant.loss > 0 or effects.burst_loss is not None or effects.duplicate > 0:
            kind = "losses" if not effects.duplicate else "losses, duplicates"
            found.append(_checked(kind, name, both, draws, constant.loss_until_s, _counts_fit))
        if effects.jitter_s > 0 and constant.delay_s is None:
            found.append(Finding("jitter", name, 0, 0, "its delay changes over time, by when packets leave"))
        elif effects.jitter_s > 0 and constant.delay_s is not None:
            until_s = min(constant.delay_until_s, constant.loss_until_s)
            found.append(_checked("jitter", name, both, draws, until_s, partial(_delays_fit, constant.delay_s)))
    return found


def _checked(kind: str, name: str, both: list[list[Count]], draws: Draws, until_s: float, fits: Fits) -> Finding:
    """The counts of both runs against the draws; the decisions of packets that both have."""
    good = []
    for number, counts in enumerate(both, 1):
        within = [count for count in counts if count.t_s <= until_s and count.most <= MOST_PACKETS]
        draws.upto(max((count.most for count in within), default=0) + SKEW_PACKETS)
        bad = next((place for place, count in enumerate(within) if not fits(draws, count)), None)
        if bad is not None:
            packets = within[bad - 1].least if bad else 0
            shared = min(of_run[-1].least for of_run in both)
            note = f"run {number} is not what the seed gives, from a packet after number {packets} on"
            return Finding(kind, name, max(shared, packets + 1), packets, note)
        good.append(within[-1].least if within else 0)
    packets = min(good)
    note = f"until {until_s:.3f} s, where an action changes its values" if until_s < inf else ""
    if not packets:
        note = "no packet left it in one of the runs while its values were constant"
    return Finding(kind, name, packets, packets, note)


def _counts_fit(draws: Draws, count: Count) -> bool:
    """Whether some number of packets between the bounds gives these losses and duplicates."""
    low, high = max(0, count.least - SKEW_PACKETS), count.most + SKEW_PACKETS
    return any(
        draws.lost[packets] == count.lost and draws.duplicated[packets] == count.duplicated
        for packets in range(low, high + 1)
    )


def _delays_fit(delay_s: float, draws: Draws, count: Count) -> bool:
    """Whether some number of packets between the bounds gives this sum of delays."""
    if count.delay_sum_s is None:
        return True
    low, high = max(0, count.least - SKEW_PACKETS), count.most + SKEW_PACKETS
    return any(
        abs(count.delay_sum_s - draws.copies[packets] * delay_s - draws.jitter_s[packets])
        <= EXACT * max(count.delay_sum_s, 1e-3)
        for packets in range(low, high + 1)
    )


def _counts(run: Run) -> dict[str, list[Count]]:
    """Cumulative counters of every end that was used, by its name."""
    found: dict[str, list[Count]] = {}
    totals: dict[str, list[float]] = {}
    columns = (
        "end", "t_s", "sent_packets", "delivered_packets", "drop_queue", "drop_loss", "drop_outage", "drop_noroute",
        "drop_ttl", "duplicated", "asked_delay_ms",
    )  # fmt: skip
    for end, t_s, *values, asked_ms in run.links.select(columns).iter_rows():
        total = totals.setdefault(end, [0.0] * 11)
        for place, value in enumerate(values):
            total[place] += value
        sent, delivered, queue, lost, outage, noroute, ttl, duplicated, crossed, delay_sum_s, _ = total
        crossed = delivered + noroute + ttl
        if asked_ms is not None:
            delay_sum_s += 1e-3 * asked_ms * (crossed - total[8])
            total[8], total[9] = crossed, delay_sum_s
        found.setdefault(end, []).append(
            Count(
                t_s,
                least=int(crossed + lost - duplicated),
                most=int(sent - queue - outage),
                lost=int(lost),
                duplicated=int(duplicated),
                delay_sum_s=delay_sum_s if asked_ms is not None else None,
            )
        )
    return found
