"""Random scripts for one link end: what it is, what is offered, what changes, and when somebody looks.

Everything follows from one number, so that a script is made in a millisecond and repeats; `shortened` takes out what a
difference does not need.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf
from random import Random
from typing import Any

import numpy as np
from link_ends import End, Setting
from made_packets import ICMP, TCP, UDP, make
from oracle.packet_bytes import wire_size
from oracle.packets import Departure, Packet

from emulator.model.network import Effects, GilbertElliott, PiecewiseSchedule, SubstepSpec, SubstepTables

STEPS, STEP_S, SUBSTEP_KNOTS = 8, 0.25, 6
HORIZON_S = STEPS * STEP_S - 1e-6


class Dice(Random):
    """The numbers of which schedules and scripts are made: round ones, at which things meet, and any."""

    even = False  # round numbers alone, so that much happens at one time
    least_s = 0.0  # of delays

    def chance(self, share: float) -> bool:
        return self.random() < share

    def delay_s(self) -> float:
        if self.even:
            return max(self.least_s, self.choice([0.0, 0.0625, 0.125, 0.5]))
        return max(self.least_s, self.choice([0.0, 0.001, 0.05, 0.3, self.uniform(0, 0.2), self.uniform(0, 0.2)]))

    def rate_bps(self) -> float:
        if self.even:
            return self.choice([0.0, 8192.0, 8192.0, 16384.0, inf])
        return self.choice([0.0, 8e3, 1e5, 1e6, 5e7, inf, inf, 10 ** self.uniform(3, 8), 10 ** self.uniform(3, 8)])

    def loss(self) -> float:
        return self.choice([0.0, 0.0, 0.0, 0.3, 1.0])

    def up(self) -> bool:
        return self.chance(0.8)

    def gap_s(self) -> float:
        if self.even:
            return self.choice([0.0, 0.0625, 0.125])
        return self.choice([0.0, 0.0, 1e-4, 0.01, 0.1, self.uniform(0, 0.05), self.uniform(0, 0.05)])


def knots(dice: Dice) -> PiecewiseSchedule:
    count = dice.randint(1, 6)
    t_s = np.concatenate([[0.0], np.cumsum([dice.choice([dice.gap_s(), 0.25]) for _ in range(count - 1)])])
    column = lambda draw: np.array([draw() for _ in range(count)])  # noqa: E731
    period_s = dice.choice([inf, inf, float(t_s[-1]) + (0.0625 if dice.even else 0.07)])
    return PiecewiseSchedule(
        t_s, column(dice.delay_s), column(dice.rate_bps), column(dice.loss), column(dice.up), period_s
    )


def substep_tables(dice: Dice, step: int) -> SubstepTables:
    """A table of the one end with finer values for one step, or none."""
    columns, up = np.zeros((4, 1, SUBSTEP_KNOTS)), np.zeros((1, SUBSTEP_KNOTS), bool)
    count = dice.choice([0, 2, 3, 5, SUBSTEP_KNOTS])
    if count:
        inner = sorted(dice.choice([0.5, 0.25 if dice.even else dice.random()]) for _ in range(count - 2))
        columns[0, 0, :count] = [(step + share) * STEP_S for share in (0, *inner, 1)]
        for place in range(count):
            columns[1:, 0, place] = dice.delay_s(), dice.rate_bps(), dice.loss()
            up[0, place] = dice.up()
    return SubstepTables(np.array([count], np.int32), *columns, up)


def effects(dice: Dice) -> Effects:
    bounds = {
        "queue_bytes": dice.choice([0.0, 200.0, 256.0, 1000.0, 3000.0, inf, inf]),
        "queue_s": dice.choice([0.0, 0.01, 0.125, 0.2, inf, inf]),
        "head_drop": dice.chance(0.4),
        "hold_when_down": dice.chance(0.5),
    }
    if dice.chance(0.4):
        return Effects(**bounds)  # merged packets stay merged
    return Effects(
        **bounds,
        queue_packets=dice.choice([0.0, 1.0, 3.0, inf, inf, inf]),
        burst_loss=dice.choice([None, None, GilbertElliott(0.2, 0.3, 0.1, 0.9)]),
        jitter_s=dice.choice([0.0, 0.0, 0.02]),
        reorder=dice.chance(0.5),
        overtake=dice.chance(0.3),
        duplicate=dice.choice([0.0, 0.0, 0.3]),
        corrupt=dice.choice([0.0, 0.0, 0.3]),
    )


def setting(dice: Dice) -> Setting:
    dice.even = dice.chance(0.3)
    common: dict[str, Any] = {
        "effects": effects(dice),
        "seed": dice.randint(0, 9),
        "name": dice.choice(["a:b", "sat-0-1:isl0"]),
        "ethernet": dice.chance(0.2),
    }
    if dice.chance(0.6):
        return Setting(knots(dice), **common)
    moving, substep = dice.chance(0.5), dice.chance(0.5)
    rows: list[dict[str, Any]] = []
    for step in range(STEPS):
        values = {"rate_bps": dice.rate_bps(), "loss": dice.loss(), "up": dice.up(), "delay_start_s": dice.delay_s()}
        values["delay_end_s"] = dice.choice([values["delay_start_s"], dice.delay_s()])
        if substep:
            values["substep"] = substep_tables(dice, step)
        if moving:
            values["peer"] = dice.choice([1, 1, 2, -1])
        rows.append(values)
    return Setting(
        knots(dice) if moving and dice.chance(0.3) else None,
        rows=tuple(rows),
        step_s=STEP_S,
        substep=SubstepSpec(np.array([0], np.int32), SUBSTEP_KNOTS) if substep else None,
        moving=moving,
        transit=dice.chance(0.5),
        nodes=3 if moving else 2,
        **common,
    )


@dataclass(frozen=True)
class Step:
    kind: str  # "offer", "due", "set", "hold", "settle"
    t_s: float
    what: Any = None


def packet(dice: Dice, number: int, ethernet: bool) -> bytes:
    """A packet of any kind, whose bytes tell its number."""
    letter, version = bytes([number % 256]), dice.choice([4, 6])
    more: dict[str, Any] = {"identity": number, "ethernet": ethernet, "partial": dice.chance(0.5)}
    kind = dice.choice(["plain", "plain", "merged", "merged", "one segment", "short", "icmp"])
    if kind == "short":
        return bytes(10) + letter * dice.choice([0, 1, 25])
    if kind == "icmp":
        return make(4, ICMP, letter * 40, **more).data
    payload = letter * dice.choice([1, 60, 700, 1400])
    if kind == "plain":
        return make(version, dice.choice([TCP, UDP]), payload, **more).data
    segment = len(payload) + dice.randint(0, 3)  # of one segment, and yet marked as merged
    if kind == "merged":
        segment = dice.choice([50, 333, 1000])
        payload = letter * (segment * dice.randint(1, 9) + dice.randint(1, segment))
    return make(
        version, dice.choice([TCP, UDP]), payload, segment=segment, flags=dice.choice([16, 25, 152]), **more
    ).data


def script(dice: Dice, chosen: Setting) -> list[Step]:
    t_s, number, steps = 0.0, 0, []
    ip = 24 if chosen.ethernet else 10
    for _ in range(dice.randint(1, 20)):
        t_s = min(t_s + dice.gap_s(), HORIZON_S if chosen.rows else inf)
        kind = dice.choice(["offer"] * 8 + ["due", "due", "set", "set", "hold", "settle"])
        what: Any = None
        if kind == "offer":
            what = []
            for _ in range(dice.randint(1, 4)):
                number += 1
                data = packet(dice, number, chosen.ethernet)
                # some single packets count as larger than their bytes are
                sizes = [128, 256] if dice.even else [len(data) - 10, 20, 1480]
                size = wire_size(data, ip) if data[1] else dice.choice(sizes)
                what.append((t_s, data, size, -1, 0, -1))
        elif kind == "set":
            draw: dict[str, Callable[[], Any]] = {
                "up": dice.up, "rate_bps": dice.rate_bps, "delay_s": dice.delay_s, "loss": dice.loss
            }  # fmt: skip
            what = {name: draw[name]() if dice.chance(0.7) else None for name in dice.sample(list(draw), 2)}
        elif kind == "hold":
            what = dice.chance(0.5)
        steps.append(Step(kind, t_s, what))
    return steps


@dataclass
class Story:
    """All that a script brought to light."""

    came: list[tuple[float, Packet]]  # when somebody looked, what
    seen: list[tuple[float, list[float], list[Packet], list[Packet]]]  # time, counters, waiting, flying at each look
    log: list[Departure]


def tell(end: End, steps: Sequence[Step], until_s: float) -> Story:
    """Play a script, and then on until `until_s`."""
    story = Story([], [], [])
    for step in (*steps, Step("due", until_s), Step("settle", until_s)):
        if step.kind == "offer":
            end.offer(step.what)
        elif step.kind == "set":
            end.set(step.t_s, **step.what)
        elif step.kind == "hold":
            end.hold(step.t_s, step.what)
        elif step.kind == "settle":
            end.settle(step.t_s)
            story.seen.append((step.t_s, end.stats(), list(end.queued), list(end.in_flight)))
        else:
            next_s = end.next_s()
            packets = end.due(step.t_s)
            assert not packets or next_s <= packets[0].at_s, "a packet came before the time at which to ask for it"
            story.came += [(step.t_s, packet) for packet in packets]
    story.log = list(end.log)
    return story


def difference(model: Story, engine: Story) -> str:
    """The first thing in which two stories differ; "" where none does."""
    for name in ("came", "log", "seen"):
        ours, theirs = getattr(model, name), getattr(engine, name)
        for place, (one, other) in enumerate(zip(ours, theirs, strict=False)):
            if one != other:
                return f"{name} {place}: the model has\n  {one}\nthe engine\n  {other}"
        if len(ours) != len(theirs):
            return f"{name}: the model has {len(ours)}, the engine {len(theirs)}"
    return ""


def shortened(steps: list[Step], differs: Callable[[list[Step]], bool]) -> list[Step]:
    """A script with as few steps and packets as still make the difference."""
    changed = True
    while changed:
        changed = False
        for place, step in reversed(list(enumerate(steps))):
            shorter = [[*steps[:place], *steps[place + 1 :]]]
            if isinstance(step.what, list) and len(step.what) > 1:
                for item in range(len(step.what)):
                    rest = Step("offer", step.t_s, step.what[:item] + step.what[item + 1 :])
                    shorter.append([*steps[:place], rest, *steps[place + 1 :]])
            for candidate in shorter:
                if differs(candidate):
                    steps, changed = candidate, True
                    break
    return steps
