"""A second, slow and plain execution of committed blocks, to compare the ledger with."""

from __future__ import annotations

from functools import cache

from nodes.dagbft.execution.executor import CYCLE, DEPENDENCY_ROUNDS, EXPIRED, LATE, REPEATED, UNMET
from nodes.dagbft.execution.transactions import MOST_WAIT_ROUNDS, NOTHING, is_sound, keys_of, result_hash


@cache
def name_of(transaction):
    return transaction.group


class Oracle:
    """All that waits is in one list, in the order of coming, and is looked through again and again."""

    def __init__(self, committee, look_back, loads):
        self.committee, self.look_back, self.loads = committee, look_back, loads
        self.state = {}
        self.outcomes = {}  # by (slot, index)
        self.waiting = []  # (place, transaction, own keys, foreign values)
        self.seen = set()  # (group, part)
        self.closed = set()
        self.results = []  # (hash, round)
        self.batches = {}  # round of the block that had it first, by shard and digest

    def commit(self, leader_round, slots):
        for slot in slots:
            again = self.came_before(slot)
            for index, transaction in enumerate(self.loads.transactions[slot]):
                if again:
                    self.outcomes[slot, index] = REPEATED
                else:
                    self.place(slot, index, transaction)
        floor = leader_round - self.look_back
        for name in sorted({name_of(each[1]) for each in self.waiting if each[1].kind == 2}):
            parts = self.parts(name)
            if parts and len(parts) < parts[0][1].parts and parts[0][1].deadline <= floor:
                self.give_up(name, EXPIRED)

    def came_before(self, slot):
        """Whether a block of the shard, few rounds away, had the same batch: blocks with one transaction can."""
        round, author = slot
        for digest in self.loads.payloads[slot]:
            first = self.batches.setdefault((self.committee.shard(author, round), digest), round)
            if first != round and abs(first - round) <= self.look_back:
                return True
            self.batches[self.committee.shard(author, round), digest] = round
        return False

    def place(self, slot, index, transaction):
        round, author = slot
        shard = self.committee.shard(author, round)
        if not is_sound(transaction) or transaction.shard != shard:
            self.outcomes[slot, index] = ()
            return
        keys = {key for key in keys_of(transaction.operations) if key >> 48 == shard}
        if transaction.kind == 2:
            name = name_of(transaction)
            if not round <= transaction.deadline <= round + MOST_WAIT_ROUNDS:
                self.outcomes[slot, index] = LATE
            elif (name, transaction.part) in self.seen or name in self.closed:
                self.outcomes[slot, index] = REPEATED
            else:
                self.seen.add((name, transaction.part))
                self.waiting.append(((slot, index), transaction, keys, {}))
                self.settle()
                while self.parts(name) and (mutual := self.on_cycles(name)):
                    self.give_up(max(mutual), CYCLE)
            return
        met = any(h == transaction.expected and abs(round - r) <= DEPENDENCY_ROUNDS for h, r in self.results)
        if transaction.expected != NOTHING and not met:
            self.finish((slot, index), transaction, UNMET)
            return
        foreign = {key: self.state.get(key, 0) for key in keys_of(transaction.operations) if key >> 48 != shard}
        self.waiting.append(((slot, index), transaction, keys, foreign))
        self.settle()

    def parts(self, name):
        return [each for each in self.waiting if each[1].kind == 2 and name_of(each[1]) == name]

    def before(self, entry):
        """Those that the entry waits for directly."""
        found = []
        for other in self.waiting:
            if other is entry:
                return found
            if other[2] & entry[2]:
                found.append(other)
        raise AssertionError

    def settle(self):
        while True:
            for entry in self.waiting:
                group = self.parts(name_of(entry[1])) if entry[1].kind == 2 else [entry]
                if len(group) == entry[1].parts and not any(self.before(each) for each in group):
                    self.run(group, entry[3])
                    break
            else:
                return

    def run(self, group, foreign):
        transaction = group[0][1]
        values = dict(foreign)
        for key in keys_of(transaction.operations):
            values.setdefault(key, self.state.get(key, 0))
        out = []
        for code, key, other, value in transaction.operations:
            if code == 0:
                out.append(values[key])
            elif code == 1:
                values[key] = value
                out.append(value)
            elif code == 2:
                values[key] = (values[key] + value) % 2**64
                out.append(values[key])
            elif code == 3:
                out.append(int(values[key] == other))
                values[key] = value if values[key] == other else values[key]
            elif values[key] < value:
                out.append(0)
            else:
                out.append(1)
                values[key] -= value
                values[other] = (values[other] + value) % 2**64
        self.state.update({key: value for key, value in values.items() if key not in foreign})
        self.waiting = [each for each in self.waiting if each not in group]
        for place, whole, _, _ in group:
            self.finish(place, whole, tuple(out))
        if transaction.kind == 2:
            self.closed.add(name_of(transaction))

    def finish(self, place, transaction, outcome):
        self.outcomes[place] = outcome
        if transaction.chained:
            self.results.append((result_hash(transaction.id, outcome), place[0][0]))

    def waits_for(self, name):
        """Names of the gamma transactions that this one waits for, over others too."""
        found, seen, open = set(), [], self.parts(name)
        while open:
            for other in self.before(open.pop()):
                if other in seen:
                    continue
                seen.append(other)
                if other[1].kind == 2:
                    found.add(name_of(other[1]))
                    open += self.parts(name_of(other[1]))
                else:
                    open.append(other)
        return found

    def on_cycles(self, name):
        return [other for other in self.waits_for(name) if name in self.waits_for(other)] if self.parts(name) else []

    def give_up(self, name, reason):
        parts = self.parts(name)
        self.waiting = [each for each in self.waiting if each not in parts]
        for place, whole, _, _ in parts:
            self.finish(place, whole, reason)
        self.closed.add(name)
        self.settle()
