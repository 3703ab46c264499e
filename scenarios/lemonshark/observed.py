"""A run as its validators told it: when each block was made, early-final and committed, and at which validator.

Invariant: a block is named by round and author, a validator by its number in the committee; times are scenario times of
one clock, so they may be compared between validators. Of what a validator says twice (it was restarted), the first
counts.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from emulator.record.load import Run

PRIMARIES = ("nodes.dagbft.primary.process:Primary", "nodes.dagbft.colocated:Colocated")
Slot = tuple[int, int]  # round, author
Seen = dict[Slot, dict[int, float]]  # by block and validator: when


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of a commit log."""

    leader: Slot
    kind: str  # "steady" or "fallback"
    blocks: tuple[Slot, ...]


@dataclass(slots=True)
class Observed:
    """What the events of a run say."""

    validators: list[str]
    correct: list[int]  # neither replaced by a Byzantine program nor crashed for good
    steady: list[int]  # of these, the ones that never crashed
    made: dict[Slot, float] = field(default_factory=dict)
    early: Seen = field(default_factory=lambda: defaultdict(dict))
    committed: Seen = field(default_factory=lambda: defaultdict(dict))
    logs: dict[int, dict[int, Entry]] = field(default_factory=lambda: defaultdict(dict))  # by validator and index
    commit_s: dict[int, dict[int, float]] = field(default_factory=lambda: defaultdict(dict))  # of these lines
    transactions: dict[int, dict[int, int]] = field(default_factory=lambda: defaultdict(dict))  # of these, where told
    parents: dict[Slot, tuple[int, ...]] = field(default_factory=dict)  # authors of the round before, where told
    rewritten: int = 0  # lines that a validator wrote twice, and differently
    headers: dict[int, list[tuple[float, int]]] = field(default_factory=lambda: defaultdict(list))  # time, round
    tallies: list[tuple[int, str, dict[str, Any]]] = field(default_factory=list)  # validator, program, counts

    @property
    def faults(self) -> int:
        return (len(self.validators) - 1) // 3

    def total(self, name: str) -> float | None:
        """A count over all correct validators; None where nobody has it."""
        values = [tally[name] for node, _, tally in self.tallies if name in tally and node in self.correct]
        return sum(values) if values else None

    def writer(self) -> int | None:
        """The correct validator with the longest log, of those that never crashed if there is one; None where nobody
        has a log. (One that comes back executes its log again, and counts that.)"""
        for among in (self.steady, self.correct):
            if writers := [node for node in among if self.logs.get(node)]:
                return max(writers, key=lambda node: len(self.logs[node]))
        return None

    def log(self) -> dict[int, Entry]:
        """The log of the `writer`."""
        writer = self.writer()
        return self.logs[writer] if writer is not None else {}

    def agree(self) -> bool:
        """Whether all correct validators committed the same leader with the same blocks in the same order under each
        index: their logs are then prefixes of one. False where nobody committed anything."""
        written: dict[int, Entry] = {}
        logs = [self.logs.get(node, {}) for node in self.correct]
        same = all(written.setdefault(index, entry) == entry for log in logs for index, entry in log.items())
        return same and bool(written) and not self.rewritten


def committee_of(document: Mapping[str, Any]) -> tuple[list[str], list[int], list[int]]:
    """Names of the validators in their order, and the numbers of the correct ones and of those that never crash, from
    the resolved scenario."""
    programs = [program for program in document.get("program", []) if program.get("run") in PRIMARIES]
    if not programs:
        return [], [], []
    names = list(programs[0]["config"]["validators"])
    correct = {name for program in programs for name in names if _matches(name, program["nodes"])}
    steady = set(correct)
    for action in document.get("action", []):
        if action["do"] == "crash":
            crashed = {name for name in names if _matches(name, action.get("nodes", ["*"]))}
            steady -= crashed
            if not any(key in action for key in ("until", "for")) and not _restarted(action, document):
                correct -= crashed
    numbers = [[number for number, name in enumerate(names) if name in among] for among in (correct, steady)]
    return names, numbers[0], numbers[1]


def _restarted(crash: Mapping[str, Any], document: Mapping[str, Any]) -> bool:
    return any(action["do"] == "restart" and action.get("nodes") == crash.get("nodes") for action in document["action"])


def _matches(name: str, globs: list[str]) -> bool:
    return any(fnmatchcase(name, glob) for glob in globs)


def observe(run: Run) -> Observed:
    """Read the events of a run."""
    names, correct, steady = committee_of(run.document)
    numbers = {name: number for number, name in enumerate(names)}
    seen = Observed(names, correct, steady)
    for t_s, name, program, kind, data in run.events.select("t_s", "node", "program", "kind", "data").iter_rows():
        node = numbers.get(name)
        if node is None:
            continue
        if kind == "header":
            fields = json.loads(data)
            seen.made.setdefault((fields["round"], node), t_s)
            seen.headers[node].append((t_s, fields["round"]))
            seen.parents.setdefault((fields["round"], node), tuple(fields.get("parents", ())))
        elif kind == "early":
            fields = json.loads(data)
            seen.early[fields["round"], fields["author"]].setdefault(node, t_s)
        elif kind == "commit":
            _note_commit(seen, node, t_s, json.loads(data))
        elif kind == "tally":
            fields = json.loads(data)
            seen.tallies.append((node, fields.get("part", program), fields))
    return seen


def _note_commit(seen: Observed, node: int, t_s: float, fields: Mapping[str, Any]) -> None:
    blocks = tuple((round, author) for round, author in fields["blocks"])
    entry = Entry(tuple(fields["leader"]), fields["mode"], blocks)
    if seen.logs[node].setdefault(fields["index"], entry) != entry:
        seen.rewritten += 1
    seen.commit_s[node].setdefault(fields["index"], t_s)
    if "transactions" in fields:
        seen.transactions[node].setdefault(fields["index"], fields["transactions"])
    for block in blocks:
        seen.committed[block].setdefault(node, t_s)
