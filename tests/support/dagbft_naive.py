"""The specification's rules again, word for word and slowly: sets of slots, recursion, everything anew for each view.

Independent of the product's masks, frontiers and triggers; only `Committee`, the schedule and `Block` are shared.
"""

from __future__ import annotations

from nodes.dagbft.consensus.committee import Committee
from nodes.dagbft.consensus.dag import members


class View:
    """Blocks held, fed one by one; `order` is what is committed, `leaders` by which leaders."""

    def __init__(self, committee: Committee, schedule, coin, protocol: str, look_back: int) -> None:
        self.c, self.schedule, self.coin, self.look_back = committee, schedule, coin, look_back
        self.protocol = protocol
        self.parents: dict = {}
        self.past: dict = {}
        self.steady: dict = {}
        self.fallback: dict = {}
        self.last = 0
        self.leaders: list = []
        self.order: list = []

    def add(self, block) -> None:
        v = block.slot
        self.parents[v] = {(block.round - 1, p) for p in members(block.parents)}
        self.past[v] = set(self.parents[v]).union(*(self.past[p] for p in self.parents[v]))
        getattr(self, f"on_block_{self.protocol}")(v)

    def kids(self, b) -> set:
        return {x for x in self.parents if b in self.parents[x]}

    # 4.1
    def on_block_psync(self, v) -> None:
        for r in range(2, v[0], 2):
            leader = (r, self.schedule.author(r // 2 - 1))
            if leader in self.parents and r > self.last and len(self.kids(leader)) >= self.c.faults + 1:
                stack, current = [leader], leader
                for r2 in range(r - 2, self.last, -2):
                    p = (r2, self.schedule.author(r2 // 2 - 1))
                    if p in self.past[current]:
                        stack.append(p)
                        current = p
                self.emit(stack, r)

    # Shoal: from the last ordered leader on, anew for each block, whatever was committed in former instances
    def on_block_shoal(self, v) -> None:
        while True:
            instance = [(r, self.schedule.author(r - 1)) for r in range(self.last + 1, v[0] + 9, 2)]
            committed = [leader for leader in instance if len(self.kids(leader)) >= self.c.faults + 1]
            if not committed:
                return
            current = committed[-1]
            for leader in reversed(instance):
                if leader in self.past[current]:
                    current = leader
            self.emit([current], current[0])

    # 4.2
    def s1(self, w):
        return (4 * w - 3, self.schedule.author(2 * w - 2))

    def s2(self, w):
        return (4 * w - 1, self.schedule.author(2 * w - 1))

    def f(self, w):
        return (4 * w - 3, self.coin.author(w))

    def votes(self, xs, leader, w, mode) -> int:
        count = 0
        for x in xs:
            first = (4 * w - 3, x[1])
            own = first == x or first in self.past[x]
            count += x[1] in mode.get(w, set()) and own and leader in self.past[x]
        return count

    def on_block_asynchronous(self, v) -> None:
        w, q = (v[0] + 3) // 4, self.c.quorum
        if v[0] % 4 == 1:
            if w == 1:
                self.steady.setdefault(1, set()).add(v[1])
            elif self.votes(self.parents[v], self.s2(w - 1), w - 1, self.steady) >= q:
                self.commit(self.s2(w - 1))
                self.steady.setdefault(w, set()).add(v[1])
            elif self.votes(self.parents[v], self.f(w - 1), w - 1, self.fallback) >= q:
                self.commit(self.f(w - 1))
                self.steady.setdefault(w, set()).add(v[1])
            else:
                self.fallback.setdefault(w, set()).add(v[1])
        elif v[0] % 4 == 3 and self.votes(self.parents[v], self.s1(w), w, self.steady) >= q:
            self.commit(self.s1(w))

    def commit(self, leader) -> None:
        if leader[0] <= self.last:
            return
        stack, v, enough = [leader], leader, self.c.faults + 1
        for r in range(leader[0] - 2, self.last, -2):
            w = (r + 3) // 4
            s, f = (self.s1(w), self.f(w)) if r % 4 == 1 else (self.s2(w), None)
            reach = {round: {x for x in self.past[v] if x[0] == round} for round in (r + 1, r + 3)}
            ss = self.votes(reach[r + 1], s, w, self.steady)
            ff = self.votes(reach[r + 3], f, w, self.fallback) if f else 0
            if ss >= enough and ff < enough:
                stack.append(s)
                v = s
            elif ff >= enough and ss < enough:
                stack.append(f)
                v = f
        self.emit(stack, leader[0])

    # 4.3
    def emit(self, stack, last) -> None:
        for leader in reversed(stack):
            floor = (self.leaders[-1][0] if self.leaders else 0) - self.look_back
            batch = {b for b in self.past[leader] | {leader} if b[0] > floor} - set(self.order)
            self.order += sorted(batch)
            self.leaders.append(leader)
        self.last = last

    # 6
    def may_lead(self, r, a) -> bool:
        if r <= self.last:
            return False  # decided
        if self.protocol == "psync":
            return r % 2 == 0 and self.schedule.author(r // 2 - 1) == a
        if self.protocol == "shoal":
            return self.schedule.author(r - 1) == a
        w = (r + 3) // 4
        if r % 2 == 0:
            return False
        if r % 4 == 3:
            return self.s2(w)[1] == a
        if self.s1(w)[1] == a:
            return True
        if len(self.steady.get(w, set())) >= self.c.quorum:
            return False
        known = sum(b[0] == 4 * w for b in self.parents) >= self.c.faults + 1
        return not known or self.f(w)[1] == a

    def early(self) -> dict:
        """Rule 6.1 for all blocks that are held and not ordered: final ones, with their places."""
        floor, ordered, final = self.last - self.look_back, set(self.order), {}
        for b in sorted(set(self.parents) - ordered):
            r, a = b
            s = self.c.shard(a, r)
            if r <= floor or len(self.kids(b)) < self.c.faults + 1:
                continue
            e = (r + 1, self.c.owner(s, r + 1))
            if self.may_lead(*e) and not (e in self.parents and b in self.parents[e]):
                continue
            below = [(x, self.c.owner(s, x)) for x in range(max(floor, 0) + 1, r)]
            unresolved = [slot for slot in below if slot not in ordered]
            if unresolved and unresolved[-1] not in final:
                continue
            before = [x for x in self.order if self.c.shard(x[1], x[0]) == s]
            final[b] = len(before) + len(unresolved)
        return final
