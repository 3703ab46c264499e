"""One schedule: a certified DAG grows under the adversary, while every honest validator orders and executes it.

Invariant: a block is certified when a quorum has voted for it, and an honest validator votes only with all its parents
in its hands; so what is here can be brought about by a network and up to f faulty validators, and by nothing worse.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from random import Random

from nodes.dagbft.consensus.coin import SeededCoin
from nodes.dagbft.consensus.committee import Committee, Hashed, Schedule, Turns
from nodes.dagbft.consensus.core import PROTOCOLS, Rules
from nodes.dagbft.consensus.dag import Block, members

from .clients import Clients, Mix
from .liars import Liar
from .network import Network
from .verdict import Fault, Verdict
from .views import Certified, View

CALM_ROUNDS = 40  # within which everybody must commit what comes after the calm begins
MOST_EVENTS = 100_000


@dataclass(frozen=True, slots=True)
class Setting:
    """What a schedule is made of."""

    seed: int
    n: int
    protocol: str
    order: str
    hashed: bool  # the known leaders; else in turn
    look_back: int
    keeps: tuple[int, ...]  # by validator
    liars: tuple[int, ...]
    rounds: int  # before the calm
    mix: Mix | None  # None: no ledgers
    sleep: float  # chance, each round, that a validator falls asleep
    restarts: float  # that one restarts
    late: float  # that a batch comes late
    lag: float  # that the ledger hears late

    @classmethod
    def draw(cls, seed: int) -> Setting:
        random = Random(f"schedule/{seed}")
        choice = random.choice
        n, look_back = choice((4, 4, 4, 5, 7)), choice((2, 2, 3, 4, 6, 8, 12))
        least, faults = look_back + 8, (n - 1) // 3
        return cls(
            seed=seed,
            n=n,
            protocol=choice(sorted(PROTOCOLS)),
            order=choice(("causal", "causal", "causal", "causal", "support-gated")),
            hashed=random.random() < 0.5,
            look_back=look_back,
            keeps=tuple(choice((least, least, least, least + 4, 40)) for _ in range(n)),
            liars=tuple(sorted(random.sample(range(n), random.randint(0, faults)))),
            rounds=3 * least + random.randint(4, 24),
            mix=Mix.draw(random, n) if random.random() < 0.7 else None,
            sleep=choice((0.0, 0.0, 0.03, 0.1)),
            restarts=choice((0.0, 0.02)),
            late=choice((0.0, 0.0, 0.1, 0.4)),
            lag=choice((0.0, 0.3, 0.7)),
        )


class Play:
    """A schedule being played."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.random = random = Random(f"play/{setting.seed}")
        self.committee = committee = Committee(setting.n)
        schedule: Schedule = Hashed(setting.n, setting.seed) if setting.hashed else Turns(range(setting.n))
        mix = setting.mix or Mix(0, 0, 0, 1, 0)
        self.clients = Clients(committee, mix, random)
        self.certified = Certified(setting.seed, self.clients.bodies)
        self.verdict = Verdict(committee)
        self.counts: Counter[str] = self.verdict.counts
        self.views: dict[int, View] = {}
        for me, keep in enumerate(setting.keeps):
            if me not in setting.liars:
                rules = Rules(setting.protocol, schedule, setting.order, setting.look_back, keep=keep)
                executes = setting.mix is not None
                self.views[me] = View(me, committee, rules, self.certified, self.verdict, ledger=executes)
        self._rule = next(iter(self.views.values())).consensus.rule
        self._coin = SeededCoin(committee, setting.seed)
        self.network = Network(committee, self.leads, random)
        self.liars = {me: Liar(me, committee, self.leads, setting.look_back + 8, random) for me in setting.liars}
        self._made = [0] * setting.n  # the round of each honest validator's last header
        self._planned = [False] * setting.n  # whether it is about to make one
        self._awake_at = [0.0] * setting.n
        self._now = 0.0
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._number = 0
        self._quorum_round = 0  # the highest round with a quorum of certified blocks
        self._hidden: list[tuple[Block, frozenset[int]]] = []  # that a liar keeps from these

    def leads(self, round: int, author: int) -> bool:
        """Whether a block can be a leader, as far as all that the adversary knows says."""
        falls_back = self.setting.protocol == "asynchronous" and round % 4 == 1
        return self._rule.leader(round) == author or (falls_back and self._coin.author(round // 4 + 1) == author)

    # Time

    def _at(self, delay: float, do: Callable[[], None]) -> None:
        self._number += 1
        heapq.heappush(self._heap, (self._now + delay, self._number, do))

    def _run(self, done: Callable[[], bool]) -> None:
        for _ in range(MOST_EVENTS):
            if done() or not self._heap:
                return
            self._now, _, do = heapq.heappop(self._heap)
            do()

    def run(self) -> Counter[str]:
        """Play it all; what there was to see. Raises Fault."""
        setting = self.setting
        for view in self.views.values():
            self._plan(view)
        self._wake_liars()
        self._run(lambda: self._quorum_round >= setting.rounds)
        floor = max(view.consensus.dag.floor for view in self.views.values())
        self.counts["moved"] += floor > setting.look_back + 8  # past all that was kept at first
        self._calm()
        self._end()
        self.counts["schedules"] += 1
        self.counts["rounds"] += self.certified.top
        return self.counts

    # Honest authors

    def _plan(self, view: View) -> None:
        if not self._planned[view.me] and view.round >= self._made[view.me]:
            self._planned[view.me] = True
            self._at(self.network.pause(), partial(self._propose, view, patient=True))

    def _propose(self, view: View, *, patient: bool) -> None:
        """Make the header of the round after the highest of which the validator holds a quorum, on all it holds."""
        me, round = view.me, view.round
        if (asleep := self._awake_at[me] - self._now) > 0:
            return self._at(asleep, partial(self._propose, view, patient=patient))
        if patient and round and self._made[me] == round and not view.rounds[round] >> me & 1:
            return self._at(self.random.choice((0.5, 4.0)), partial(self._propose, view, patient=False))
        self._planned[me] = False
        if round < self._made[me]:
            return None
        block = Block(round + 1, me, view.rounds.get(round, 0))
        mode = view.mode_of(block)
        if mode is None:
            return None
        self._made[me] = round + 1
        payload = self.clients.payload(block.slot)
        self._at(self.network.header(block), partial(self._certify, block._replace(mode=mode), payload))
        return None

    # Certificates

    def _certify(self, block: Block, payload: tuple[bytes, ...]) -> None:
        """Look for voters; who votes has all ancestors then. A header that finds too few is sent again, until its
        author has made two others.
        """
        liar = self.liars.get(block.author)
        votes = len(self.liars) + (liar is None)  # liars vote for everything
        others = [view for me, view in self.views.items() if me != block.author and self._awake_at[me] <= self._now]
        self.random.shuffle(others)
        if liar is not None:
            others.sort(key=lambda view: view.me not in liar.circle)
        for view in others:
            if votes >= self.committee.quorum and (self.network.few_voters or liar is not None):
                break
            mode = self._vote(view, block)
            if mode is None:
                continue
            if block.mode is None:
                block = block._replace(mode=mode)
            if mode != block.mode:
                raise Fault("mode", f"validator {view.me} gives {block} no vote: it has mode {mode}")
            votes += 1
        if votes >= self.committee.quorum and block.mode is not None:
            self._spread(block, payload)
        elif (liar.made if liar is not None else self._made[block.author]) < block.round + 2:
            self._at(2.0, partial(self._certify, block, payload))

    def _vote(self, view: View, block: Block) -> int | None:
        """The mode that a validator signs, with all parents in its hands; None: it gives no vote."""
        floor = view.consensus.dag.floor
        if block.round <= floor + (floor > 0):
            return None
        for author in members(block.parents):
            self._take(view, self.certified.blocks[block.round - 1, author])
        floor = view.consensus.dag.floor  # may have risen
        return None if block.round <= floor + (floor > 0) else view.mode_of(block)

    def _spread(self, block: Block, payload: tuple[bytes, ...]) -> None:
        self.certified.enter(block, payload)
        liar = self.liars.get(block.author)
        kept_from: frozenset[int] = frozenset()
        if liar is not None and not self.network.calm:
            if liar.hides(block.round) or liar.readers == "hidden":
                kept_from = frozenset(self.views)
            elif liar.readers == "circle":
                kept_from = frozenset(self.views) - liar.circle
            if kept_from:
                self._hidden.append((block, kept_from))
        late = liar is not None and liar.readers == "late"
        for me, view in self.views.items():
            if me not in kept_from:
                delay = self.network.delay(block, me) + 4.0 * late
                self._at(delay, partial(self._deliver, view, block))
        if block.round > self._quorum_round and self._held(block.round) >= self.committee.quorum:
            self._quorum_round = block.round
            self._new_round()
        self._wake_liars()

    def _held(self, round: int) -> int:
        return self.certified.rounds.get(round, 0).bit_count()

    def _deliver(self, view: View, block: Block) -> None:
        if (asleep := self._awake_at[view.me] - self._now) > 0:
            return self._at(asleep + self.random.random(), partial(self._deliver, view, block))
        return self._take(view, block)

    def _take(self, view: View, block: Block) -> None:
        lags = not self.network.calm and self.random.random() < self.setting.lag
        view.take(block, lambda digest: self._is_late(view, digest), at_once=not lags)
        if lags:
            self._at(2 * self.random.random(), view.play)
        self._plan(view)

    def _is_late(self, view: View, digest: bytes) -> bool:
        if self.network.calm or self.random.random() >= self.setting.late:
            return False
        self._at(self.random.choice((0.5, 3.0, 12.0)) * self.random.random(), partial(view.batch, digest))
        return True

    # What else happens

    def _new_round(self) -> None:
        """Sleepers, restarts, and what liars had hidden for long enough."""
        setting, random = self.setting, self.random
        self.network.new_round()
        if self.network.calm:
            return
        for me, view in self.views.items():
            if random.random() < setting.sleep:
                self._awake_at[me] = self._now + random.choice((3.0, 15.0, 60.0)) * random.random()
            if random.random() < setting.restarts:
                view.restart(random.choice((len(view.commits), max(len(view.commits) - 8, 0), 0)))
        shown, self._hidden = self._hidden, []
        for block, kept_from in shown:
            if self.liars[block.author].hides(self._quorum_round) or random.random() < 0.95:
                self._hidden.append((block, kept_from))
            else:
                self._show(block, kept_from)

    def _show(self, block: Block, kept_from: frozenset[int]) -> None:
        for me in kept_from:
            self._at(self.network.quick(), partial(self._deliver, self.views[me], block))

    def _wake_liars(self) -> None:
        for liar in self.liars.values():
            passed = min(self._made[me] for me in liar.circle if me in self.views)
            round = liar.next_round(self._quorum_round, passed)
            if round and (round == 1 or self._held(round - 1) >= self.committee.quorum):
                liar.made = round
                self._lie(liar, round)

    def _lie(self, liar: Liar, round: int) -> None:
        block = liar.block(round, self.certified.rounds.get(round - 1, 0))
        self._at(self.network.header(block), partial(self._certify, block, self.clients.payload(block.slot)))

    # Calm, and the end

    def _calm(self) -> None:
        """Messages arrive in time from now on; liars behave, or are silent for good."""
        self.network.calm = True
        begin = self.certified.top
        self._awake_at = [0.0] * self.setting.n
        for liar in self.liars.values():
            liar.behave()
            if self.random.random() < 0.3:
                liar.made = 1 << 40
        hidden, self._hidden = self._hidden, []
        for block, kept_from in hidden:
            self._show(block, kept_from)
        for view in self.views.values():
            for slot in [slot for slot in self.certified.blocks if slot[0] == self._quorum_round]:
                self._at(self.network.quick(), partial(self._take, view, self.certified.blocks[slot]))
            self._at(1.0, partial(self._plan, view))
        self._wake_liars()
        self._run(lambda: self._quorum_round >= begin + CALM_ROUNDS)
        for me, view in self.views.items():
            if not view.commits or view.commits[-1].leader[0] <= begin:
                last = view.commits[-1].leader if view.commits else None
                raise Fault("stuck", f"{me} stands at {last} of round {self._quorum_round}, {begin} when calm began")

    def _end(self) -> None:
        """Nothing is on its way any more; then all is compared again, and other lives and other orders with it."""
        setting, random = self.setting, self.random
        for view in self.views.values():
            for digest in list(view.late):
                view.batch(digest)
            view.play()
        last = self.verdict.commits[-1].leader[0]
        self.verdict.end(last - (setting.look_back if setting.order == "causal" else 2))
        view = random.choice(list(self.views.values()))
        view.replay_in_another_order(random)
        for _ in range(2):
            view.restart(random.randint(0, len(view.commits)))


def play(seed: int) -> Counter[str]:
    """Play the schedule of this number; what there was to see. Raises Fault, or whatever the product raises."""
    return Play(Setting.draw(seed)).run()
