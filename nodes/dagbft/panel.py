"""Panel of DAG-BFT validators: the last rounds of the DAG, latencies with and without early finality, throughput.

Invariant: latencies are those of a block at its own author, since it was made, as in the scenario's figures. A
transaction counts once, at the validator that reports its commit first.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from emulator.sdk.histogram import Binned, Quantiles
from emulator.sdk.protocol import Panel, PanelContext, Tone, Widget

ROWS = 40  # validators in the grid
LISTED = 12  # validators in the table: those that are furthest behind
COLUMNS = 60  # rounds in the grid
KEPT = 200  # rounds that are kept; a commit follows about ten rounds after a block
INDEXES = 1000  # latest commits whose transactions have been counted, so that each counts once
POINTS = 32  # of the smaller charts
NAME = 24  # characters of a validator's name
RECENT_S = 10.0  # over which rounds a second are counted
SPEEDS = 256
FUTURE, MISSING, MADE, CERTIFIED, EARLY, COMMITTED, EARLY_COMMITTED, LEADER = " ", "-", "o", "+", "e", "#", "E", "L"
TONES: dict[str, Tone] = {
    MISSING: "bad", MADE: "dim", CERTIFIED: "plain", EARLY: "good", COMMITTED: "plain", EARLY_COMMITTED: "good",
    LEADER: "warn",
}  # fmt: skip
LEGEND = "o made + certified e early # committed E both L leader - none"
COMMIT, ANSWER = "committed", "early or committed"
WAITING = {"parked_headers": "headers", "parked_blocks": "blocks", "unplayed_events": "events"}


@dataclass(slots=True)
class _Block:
    """A slot of the DAG, by the events of its author and of other validators."""

    made_s: float | None = None
    early_s: float | None = None  # at its author
    certified: bool = False  # it is a parent of some block
    early: bool = False  # at any validator
    committed: bool = False  # at any validator
    leader: bool = False


@dataclass(slots=True)
class _Validator:
    """The state of one validator, by its events and samples."""

    round: int = 0
    made: int = 0
    made_s: float = 0.0  # its last block
    committed: int = 0  # own blocks
    early: int = 0  # of these, answered before their commit
    early_ok: int = 0
    early_wrong: int = 0
    waiting: dict[str, int] = field(default_factory=dict)


class DagBftPanel(Panel):
    """The DAG and its latencies, from the events of primaries and the samples of clients."""

    def __init__(self, context: PanelContext) -> None:
        super().__init__(context)
        named = next(
            (config["validators"] for config in context.configs.values() if config.get("validators")), context.nodes
        )
        self._names = [str(name) for name in named]
        self._numbers = {name: number for number, name in enumerate(self._names)}
        self._validators = [_Validator() for _ in self._names]
        self._rounds: dict[int, list[_Block]] = {}
        self._round = 0
        self._speeds: deque[tuple[float, int]] = deque(maxlen=SPEEDS)  # when each round was first reached
        self._blocks = Binned(1.0, "median", lines=2)
        self._commit, self._answer = Quantiles(), Quantiles()
        self._certificate = Quantiles()
        self._clients = Binned(1.0, "median", lines=4, points=POINTS)
        self._throughput = Binned(1.0, "rate", lines=1, points=POINTS)
        self._counted: dict[int, None] = {}
        self._transactions = 0
        self._commits = 0
        self._kinds: Counter[str] = Counter()
        self._breaches = 0

    def event(self, t_s: float, node: str, kind: str, data: Mapping[str, Any]) -> None:
        number = self._numbers.get(node)
        if number is None:
            return
        if kind == "early":
            self._early(t_s, number, int(data["round"]), int(data["author"]))
        elif kind == "header":
            self._header(t_s, number, int(data["round"]), data.get("parents", ()))
        elif kind == "commit":
            self._committed(t_s, number, data)
        elif kind == "advance":
            self._advance(t_s, int(data["round"]))
        elif kind == "tally" and "early_wrong" in data:
            self._validators[number].early_ok = int(data["early_ok"])
            self._validators[number].early_wrong = int(data["early_wrong"])
        elif kind == "breach":
            self._breaches += 1

    def sample(self, t_s: float, node: str, name: str, value: float, key: str) -> None:
        if name in ("early_ok", "early_wrong"):
            if (number := self._numbers.get(node)) is not None:
                setattr(self._validators[number], name, int(value))
        elif name == "certificate_s":
            self._certificate.add(value)
        elif name in WAITING:
            if (number := self._numbers.get(node)) is not None:
                self._validators[number].waiting[name] = int(value)
        elif name.endswith("_latency_s"):
            self._clients.add(name.removesuffix("_latency_s"), t_s, value)

    def _block(self, round: int, author: int) -> _Block | None:
        """The slot; None if it was dropped, is implausibly far ahead, or of no validator."""
        if not (0 <= author < len(self._names) and self._round - KEPT < round <= self._round + KEPT):
            return None
        if (blocks := self._rounds.get(round)) is None:
            blocks = self._rounds[round] = [_Block() for _ in self._names]
        return blocks[author]

    def _advance(self, t_s: float, round: int) -> None:
        if self._round < round <= self._round + KEPT:
            self._round = round
            self._speeds.append((t_s, round))
            for old in [old for old in self._rounds if old <= round - KEPT]:
                del self._rounds[old]

    def _header(self, t_s: float, author: int, round: int, parents: Any) -> None:
        self._advance(t_s, round)
        block = self._block(round, author)
        if block is None:
            return
        if block.made_s is None:
            block.made_s = t_s
            validator = self._validators[author]
            validator.made += 1
            validator.made_s, validator.round = t_s, max(validator.round, round)
        for parent in parents:
            if (below := self._block(round - 1, int(parent))) is not None:
                below.certified = True

    def _early(self, t_s: float, number: int, round: int, author: int) -> None:
        block = self._block(round, author)
        if block is not None:
            block.early = True
            if number == author and block.early_s is None:
                block.early_s = t_s

    def _committed(self, t_s: float, number: int, data: Mapping[str, Any]) -> None:
        index, transactions = int(data["index"]), data.get("transactions")
        if index >= self._commits:
            self._commits = index + 1
            self._kinds[str(data.get("mode", ""))] += 1
        if transactions is not None and index not in self._counted and index > self._commits - INDEXES:
            self._counted[index] = None
            while len(self._counted) > INDEXES:
                del self._counted[next(iter(self._counted))]
            self._transactions += int(transactions)
            self._throughput.add("transactions", t_s, int(transactions))
        leader = tuple(data["leader"])
        for round, author in data["blocks"]:
            block = self._block(round, author)
            if block is None:
                continue
            block.committed = True
            block.leader = block.leader or (round, author) == leader
            if number == author and block.made_s is not None:
                self._own(t_s, self._validators[author], block.made_s, block.early_s)

    def _own(self, t_s: float, validator: _Validator, made_s: float, early_s: float | None) -> None:
        """A validator has committed a block of its own."""
        answered_s = t_s if early_s is None else min(t_s, early_s)
        validator.committed += 1
        validator.early += answered_s < t_s
        self._commit.add(t_s - made_s)
        self._answer.add(answered_s - made_s)
        self._blocks.add(ANSWER, t_s, answered_s - made_s)
        self._blocks.add(COMMIT, t_s, t_s - made_s)

    def widgets(self, t_s: float) -> list[Widget]:
        shown: list[Widget] = [self._grid()] if self._round else []
        shown.append({"kind": "facts", "rows": self._facts(t_s)})
        x_label = "scenario time in s"
        charts = [
            self._blocks.chart("Latency of blocks at their authors (median)", x_label, "ms", scale=1e3),
            self._throughput.chart("Throughput", x_label, "transactions a second", until=t_s),
            self._clients.chart("Latency of transactions at clients (median)", x_label, "ms", scale=1e3),
        ]
        shown += [chart for chart in charts if chart is not None]
        if self._round:
            shown.insert(3, self._listing(t_s))
        return shown

    def _grid(self) -> Widget:
        rounds = range(max(1, self._round - COLUMNS + 1), self._round + 1)
        names = self._names[:ROWS]
        rows = [
            (name[:NAME], "".join(self._cell(round, author) for round in rounds)) for author, name in enumerate(names)
        ]  # fmt: skip
        title = f"Rounds {rounds[0]:,} to {rounds[-1]:,}"
        if len(names) < len(self._names):
            title += f", {len(names)} of {len(self._names):,} validators"
        return {"kind": "grid", "title": title, "rows": rows, "tones": TONES, "legend": LEGEND}

    def _cell(self, round: int, author: int) -> str:
        blocks = self._rounds.get(round)
        block = blocks[author] if blocks is not None else None
        if block is None or (block.made_s is None and not block.certified and not block.committed):
            return MISSING if round < self._round - 1 else FUTURE
        if block.committed:
            return LEADER if block.leader else EARLY_COMMITTED if block.early else COMMITTED
        return EARLY if block.early else CERTIFIED if block.certified else MADE

    def _facts(self, t_s: float) -> list[list[str]]:
        own = sum(validator.committed for validator in self._validators)
        early = sum(validator.early for validator in self._validators)
        ok = sum(validator.early_ok for validator in self._validators)
        wrong = sum(validator.early_wrong for validator in self._validators)
        kinds = ", ".join(f"{count:,} {kind}" for kind, count in sorted(self._kinds.items(), reverse=True))
        rows = [["round", f"{self._round:,}, {self._speed(t_s)}"], ["commits", kinds or "none yet"]]
        if self._counted:
            rows.append(["transactions committed", f"{self._transactions:,}"])
        if self._certificate.count:
            rows.append(["block to certificate", _spread_ms(self._certificate)])
        if self._commit.count:
            rows.append(["block to commit", _spread_ms(self._commit)])
            rows.append(["block to answer", _spread_ms(self._answer)])
            rows.append(["early before commit", f"{early / own:.1%} of {own:,} blocks"])
        waiting = {name: [each.waiting[name] for each in self._validators if name in each.waiting] for name in WAITING}
        if any(waiting.values()):
            most = ", ".join(f"{max(counts):,} {WAITING[name]}" for name, counts in waiting.items() if counts)
            rows.append(["wait at one validator, at most", most])
        checked = ok + wrong
        rows.append(["early results wrong", f"{wrong:,} of {checked:,} compared" if checked else "none compared yet"])
        if self._breaches:
            rows.append(
                ["BREACH", f"{self._breaches:,} validators saw early results come out wrong and answer no more early"]
            )
        return rows

    def _speed(self, t_s: float) -> str:
        while len(self._speeds) > 2 and self._speeds[1][0] < t_s - RECENT_S:
            self._speeds.popleft()
        if len(self._speeds) < 2 or self._speeds[-1][0] <= self._speeds[0][0]:
            return "no rounds a second yet"
        (first_s, first), (last_s, last) = self._speeds[0], self._speeds[-1]
        return f"{(last - first) / (max(t_s, last_s) - first_s):.2f} rounds a second"

    def _listing(self, t_s: float) -> Widget:
        behind = sorted(range(len(self._names)), key=lambda number: (self._validators[number].round, number))[:LISTED]
        rows = []
        for number in sorted(behind):
            each = self._validators[number]
            silent = f"{max(0.0, t_s - each.made_s):.1f}" if each.made else "never"
            share = f"{each.early / each.committed:.0%}" if each.committed else ""
            rows.append(
                [self._names[number][:NAME], f"{each.round:,}", f"{each.made:,}", f"{each.committed:,}", share, silent]
            )
        columns = ["validator", "round", "blocks", "committed", "early", "silent s"]
        title = "Validators" if len(behind) == len(self._names) else f"The {len(rows)} validators furthest behind"
        return {"kind": "listing", "title": title, "columns": columns, "rows": rows}


def _spread_ms(of: Quantiles) -> str:
    p50_s, p95_s = of.quantile(0.5) or 0.0, of.quantile(0.95) or 0.0
    return f"{p50_s * 1e3:,.0f} ms p50, {p95_s * 1e3:,.0f} ms p95"
