"""One committee of whole primaries, workers and ledgers on the simulated network, under everything at once.

Crashes between any two records, lost disks, cuts, loss, late replies and up to f liars come first, then calm. What is
believed is what went over the wire and what is on the disks of the honest ones.

Invariant: liars and those that lose their disk are f together; all others may crash as often as they like.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from copy import deepcopy
from random import Random
from typing import Any

from emulator.model.errors import DataError
from emulator.sdk.disk import MemoryDisk
from nodes.dagbft.byzantine import BEHAVIOURS, ByzantineCore, turn, turn_worker
from nodes.dagbft.consensus.coin import SeededCoin
from nodes.dagbft.consensus.core import Commit, Rules
from nodes.dagbft.consensus.dag import Block
from nodes.dagbft.consensus.early import Early
from nodes.dagbft.consensus.run_file import commit_log, feed, with_modes
from nodes.dagbft.execution.transactions import write_keys
from nodes.dagbft.field_types import Cause
from nodes.dagbft.messages import Batch, Certificate, CertReply, FinalReply, Header, Vote
from nodes.dagbft.primary.config import PrimaryConfig
from nodes.dagbft.primary.core import PrimaryCore
from nodes.dagbft.primary.effects import Effects
from nodes.dagbft.primary.records import Archive, slot_key
from nodes.dagbft.primary.recovery import COMPARED
from nodes.dagbft.simulate import Settings, Simulation, uniform
from nodes.dagbft.simulate.validator import PRIMARY

from .clients import Clients
from .plans import Plan
from .verdict import Fault, Verdict

CALM_S = 60.0
LATE_REPLY_S = 3.0
SPEAKS_S = 6.0  # within which one without its memory mostly speaks again
SENT: dict[str, tuple[type, ...]] = {
    "vote": (Vote,), "header": (Header,), "certificate": (Certificate,), "reply": (CertReply,), "batch": (Batch,)
}  # fmt: skip


class WrongMode(ByzantineCore):
    """Says that its blocks vote in another mode than they do."""

    def say(self, receiver: int, message: Any) -> Iterable[tuple[int, Any]]:
        if not isinstance(message, Header) or message.author != self.core.me:
            return ((receiver, message),)
        return ((receiver, self.forge(message, mode=(message.mode + 1 + self.lies % 2) % 3)),)


class Committee:
    """A plan being carried out."""

    calm_rounds = 30  # until all commit: for each validator that is gone or lies, and one more
    innocent = ("stale", "future", "parked", "lacking", "quota", "flood")  # what a slow or late one is refused for

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.random = random = Random(f"carry out/{plan.seed}")
        self.run = run = self._simulation()
        self.committee = run.roster.committee
        self.verdict = Verdict(self.committee)
        self.counts = self.verdict.counts
        self.honest = [me for me in range(plan.n) if me not in plan.liars]
        self.down: list[int] = []
        self._clients = Clients(self.committee, plan.mix, random)
        self._said: dict[tuple[Any, ...], bytes] = {}  # votes and headers of the honest
        self._spoke = [0] * plan.n  # the highest round of which each has said something
        self._before = [0] * plan.n  # and had, when it lost its disk
        self._late_replies = False
        run.network.jitter = 0.5
        run.network.hook = self._see
        run.on_reply = self._reply  # type: ignore[assignment]
        run.start()
        for me, lie in plan.liars.items():
            workers = run.validators[me].workers
            workers[:] = [turn_worker(lie, worker, plan.n) if lie in BEHAVIOURS else worker for worker in workers]
            if lie == "wiped-twice":
                run.validators[me].execution = None  # it would not forget with its core
        self._submit()

    def _simulation(self) -> Simulation:
        """What the plan is carried out on."""
        plan, random = self.plan, self.random
        primary = PrimaryConfig(
            plan.rules, leader_timeout_s=0.2, grace_s=0.02, header_delay_s=0.03, retry_s=0.3,
            window=random.choice((6, 20)), sync_after=random.choice((5, 10)),
            inline_bytes=random.choice((0, 2_000)), snapshot_rounds=random.choice((0, 16, 48)),
        )  # fmt: skip
        settings = Settings(
            plan.n, plan.seed, delay=uniform(0.02), primary=primary, ledger=True, write_keys=write_keys,
            turn_s=random.choice((0.0, 0.005)), bare=random.choice((False, True)),
        )  # fmt: skip
        return Simulation(settings, {me: self._turn(lie) for me, lie in plan.liars.items()})

    def round_of(self, validator: Any) -> int:
        """The round that a validator has come to."""
        return validator.primary.pace.round

    def last_of(self, validator: Any) -> int:
        """The round of the last leader that it has committed."""
        return validator.primary.consensus.rule.last

    def floor_of(self, validator: Any) -> int:
        """The highest round that it has collected."""
        return validator.primary.blocks.floor

    def _turn(self, lie: str) -> Callable[[PrimaryCore], PrimaryCore]:
        def make(core: PrimaryCore) -> PrimaryCore:
            if lie == "wrong-mode":
                return WrongMode(core)  # type: ignore[return-value]
            coin = deepcopy(core._coin) if lie in ("twins", "wiped-twice") else None

            def again() -> PrimaryCore:
                return PrimaryCore(
                    core.me, core.roster, core._signer, core._verifier, core.config, deepcopy(coin), MemoryDisk(), 0.0
                )

            return turn(lie, core, again, delay_s=0.4, swap_s=1.0)

        return make

    # What is seen while it runs

    def _submit(self) -> None:
        run = self.run
        round = max(map(self.round_of, run.validators))
        for transaction in self._clients.submissions(round):
            run.validators[self.random.randrange(self.plan.n)].submit(0, transaction)
        run.clock.at(run.clock.now_s + self.random.expovariate(30), self._submit)

    def _see(self, sender: int, receiver: int, message: Any, now_s: float) -> float:
        if sender in self.honest:
            if isinstance(message, Vote) and message.voter == sender:
                self._says(sender, ("vote", message.round, message.author), message.header_id)
                kept = self._on_disk(sender, "vote", slot_key(message.round, message.author))
                collected = message.round <= self.run.validators[sender].primary.blocks.floor
                if kept != message.header_id and not collected:
                    raise Fault("vote", f"the vote of {sender} for {message.round, message.author} is not on its disk")
            elif isinstance(message, Header) and message.author == sender:
                self._says(sender, ("header", message.round), message.id)
                if self._on_disk(sender, "header", message.round.to_bytes(8, "big")) is None:
                    raise Fault("vote", f"the header of {sender} in round {message.round} is not on its disk")
        if self._late_replies and isinstance(message, CertReply):
            return self.random.uniform(0, LATE_REPLY_S)
        return 0.0

    def _on_disk(self, who: int, table: str, key: bytes) -> bytes | None:
        return self.run.validators[who]._disks[PRIMARY].get(table, key)

    def _says(self, who: int, what: tuple[Any, ...], id: bytes) -> None:
        """An honest validator says one thing of a slot, and nothing of a round of which it may have forgotten some."""
        if self._said.setdefault((who, *what), id) != id:
            raise Fault("vote", f"validator {who} says two things in {what}")
        if what[1] <= self._before[who]:
            raise Fault("vote", f"validator {who} says {what}, and had spoken in {self._before[who]} on a lost disk")
        self._spoke[who] = max(self._spoke[who], what[1])

    def _reply(self, validator: Any, reply: Any) -> None:
        if isinstance(reply, FinalReply) and validator.me in self.honest:
            for id, hash in reply.results:
                early = reply.cause == Cause.EARLY
                self.verdict.result(validator.me, ((reply.round, reply.author), id), hash, early=early)

    def look(self) -> None:
        """Compare what the honest that live have come to."""
        for me in self.honest:
            validator = self.run.validators[me]
            if not validator.alive:
                continue
            if validator.primary.consensus.check.wrong:
                raise Fault("place", f"validator {me} has wrong early places")
            if validator.ledger.counts.early_wrong:
                raise Fault("early result", f"validator {me} has wrong early results")
            for commits, digest in validator.history.digests.items():
                self.verdict.digest(me, commits, digest)
            for (reason, peer), count in validator.primary.rejected.items():
                if peer in self.honest and reason not in self.innocent:
                    raise Fault("blame", f"validator {me} refuses {count} messages of {peer}: {reason}")
        known: dict[int, Commit] = {}  # logs begin where the archive does
        for me in self.honest:
            for commit in self.run.validators[me].primary.archive.commits():
                if known.setdefault(commit.number, commit) != commit:
                    raise Fault("fork", f"validator {me} has {commit}, another {known[commit.number]}")

    # What happens

    def carry_out(self) -> Counter[str]:
        """Everything, and calm; what there was to see. Raises Fault."""
        self.run.run(0.5)
        for what, who, wait_s in self.plan.steps:
            self._happen(what, who, wait_s)
            self.run.run(wait_s)
            self._note_the_dead()
            self.look()
        self._calm()
        self.look()
        self._end()
        self.counts["committees"] += 1
        self.counts["rounds"] += max(map(self.round_of, self.run.validators))
        self.counts["liars"] += len(self.plan.liars)
        floors = [self.floor_of(self.run.validators[me]) for me in self.honest]
        self.counts["moved"] += min(floors) > 2 * (self.plan.rules.look_back + 8)
        return self.counts

    def _happen(self, what: str, who: int, wait_s: float) -> None:
        network, n = self.run.network, self.plan.n
        victim = self.run.validators[who]
        if what in ("crash", "bad moment", "wipe") and victim.alive and who in self.honest:
            if what == "wipe":
                self._wipe(who)
            elif what == "crash":
                self.run.crash(who)
            else:
                victim.crash_point = self._moment(who)
            if self.random.random() < 0.5:
                self.run.run(wait_s)
                self._note_the_dead()
                self._return(who)
        elif what == "relapse" and victim.alive and who in self.plan.forgetful:
            self._wipe(who)
            self._return(who)
            self.run.run(0.3 * self.random.random())
            if self.random.random() < 0.5:
                self._wipe(who)
            elif victim.alive:
                self.run.crash(who)
            self._return(who)
        elif what == "forget again" and victim.alive and who in self.plan.forgetful:
            for _ in range(2):
                self._wipe(who)
                self._return(who)
                until = self.run.clock.now_s + SPEAKS_S
                while self._spoke[who] <= self._before[who] and self.run.clock.now_s < until:
                    self.run.run(0.02)
            self._wipe(who)
            self._return(who)
        elif what == "crash for good" and victim.alive and who in self.honest:
            self.run.crash(who)
        elif what == "return" and self.down:
            self._return(self.down[0])
        elif what == "cut":
            side = set(self.random.sample(range(n), self.random.randint(1, n - 1)))
            network.cut([side, set(range(n)) - side])
        elif what == "isolate":
            network.cut([[each for each in range(n) if each != who]])
        elif what == "one way":
            network.cut_where(lambda sender, receiver: sender == who)
        elif what == "heal":
            network.heal()
            network.loss, self._late_replies = 0.0, False
        elif what == "loss":
            network.loss = self.random.choice((0.05, 0.2))
        elif what == "late replies":
            self._late_replies = True

    def _moment(self, who: int) -> Callable[[int, Effects], str]:
        """A crash before or after the records of one of the next things that are kept or sent."""
        random = self.random
        when, skips = random.choice(("before", "after")), random.randrange(6)
        sent = SENT[random.choice(sorted(SENT))]
        by_record = random.random() < 0.5

        def point(process: int, effects: Effects) -> str:
            nonlocal skips
            hit = bool(effects.persist) if by_record else any(isinstance(message, sent) for _, message in effects.send)
            skips -= hit
            return when if hit and skips < 0 else ""

        return point

    def _wipe(self, who: int) -> None:
        if who in self.plan.forgetful:
            self._before[who] = max(self._before[who], self._spoke[who])
            self.run.crash(who, wipe=True)
            self.counts["wipes"] += 1

    def _note_the_dead(self) -> None:
        dead = [validator.me for validator in self.run.validators if not validator.alive]
        self.down = [me for me in self.down if me in dead] + [me for me in dead if me not in self.down]

    def _return(self, who: int) -> None:
        validator = self.run.validators[who]
        validator.crash_point = None
        if not validator.alive:
            self.run.restart(who)
            self.counts["restarts"] += 1
        self._note_the_dead()

    def _calm(self) -> None:
        """Whole again but for those that are gone for good: every honest one that lives commits what comes now."""
        run, plan = self.run, self.plan
        run.network.heal()
        run.network.loss, self._late_replies = 0.0, False
        for validator in run.validators:
            validator.crash_point = None
        run.run(max([LATE_REPLY_S, *(due_s - run.clock.now_s for due_s in run.network._last_s.values())]))  # under way
        self._note_the_dead()
        spare = self.committee.faults - len(plan.liars) - sum(self._before[me] > 0 for me in plan.forgetful)
        gone = [me for me in self.down if not self._before[me]][:spare] if plan.gone and spare > 0 else []
        for me in [me for me in self.down if me not in gone]:
            self._return(me)
        alive = [run.validators[me] for me in self.honest if me not in gone]
        begin = max(map(self.round_of, alive))
        until = run.clock.now_s + CALM_S

        def late() -> list[int]:
            return [each.me for each in alive if self.last_of(each) <= begin]

        while late() and run.clock.now_s < until:
            run.run(0.25)
        rounds = [self.round_of(each) for each in alive]
        if late() or max(rounds) - begin > self.calm_rounds * (1 + len(gone) + len(plan.liars)):
            raise Fault("stuck", f"{late()} committed nothing since {begin}; rounds {rounds}, gone {gone}")
        run.run(3)
        for validator in alive:
            lag = validator.primary.consensus.commits - validator.ledger.commits
            if lag > 12:
                raise Fault("stuck", f"the ledger of {validator.me} is {lag} commits behind")

    def _end(self) -> None:
        """The pure function on all that was certified gives the log; and every honest one comes back to its own."""
        run, plan = self.run, self.plan
        logs = {me: list(run.validators[me].archive.commits()) for me in self.honest}  # all that was ever on disk
        told = sorted((commit.number, me, commit) for me in self.honest for commit in logs[me])
        for _, me, commit in told:
            self.verdict.commit(me, commit)
        log = self.verdict.commits
        for me in self.honest:
            for _, event in run.validators[me].history.events:
                if isinstance(event, Early):
                    self.verdict.place(me, event)
        self.verdict.end(log[-1].leader[0] - (plan.rules.look_back if plan.rules.order == "causal" else 2))
        blocks = run.blocks()
        rules = Rules(plan.rules.protocol, plan.rules.schedule, plan.rules.order, plan.rules.look_back, keep=1 << 40)
        whole = self._closed(blocks)
        for block, certified in zip(whole, with_modes(whole, self.committee, rules, self._coin()), strict=True):
            if block.mode != certified.mode:
                raise Fault("mode", f"{block} is certified; its past says mode {certified.mode}")
        _, events = feed(whole, self.committee, rules, self._coin())
        if len(whole) == len(blocks) and not commit_log(events).startswith(commit_log(log)):
            raise Fault("replay", "the pure function has another log")
        for me in self.honest:
            self._comes_back(me)

    def _coin(self) -> SeededCoin:
        return SeededCoin(self.committee, self.plan.seed)

    def _closed(self, blocks: list[Block]) -> list[Block]:
        """The blocks that are there with all their ancestors."""
        held: dict[int, int] = defaultdict(int)
        found = []
        for block in blocks:
            if block.round == 1 or not block.parents & ~held[block.round - 1]:
                held[block.round] |= 1 << block.author
                found.append(block)
        return found

    def _comes_back(self, me: int) -> None:
        """A restart at the end; and one on a disk whose log was changed, which must be refused."""
        run = self.run
        validator = run.validators[me]
        log = list(validator.primary.archive.commits())
        if validator.alive:
            run.crash(me)
        run.restart(me)
        self.counts["replays"] += 1
        again = list(validator.primary.archive.commits())
        if again[: len(log)] != log or (log and validator.primary.consensus.commits <= log[-1].number):
            raise Fault("replay", f"validator {me} comes back with another log")
        offers = validator.primary.snapshots.offers
        comparable = _is_comparable(validator.primary.archive, again, offers[-1].commits if offers else 0)
        run.crash(me)
        table = validator._disks[PRIMARY]._tables.get("commit", {})
        if comparable and len(again[-1].blocks) > 2:
            last = max(table)
            table[last] = table[last][:-20] + table[last][-10:] + table[last][-20:-10]  # the last two change places
            try:
                run.restart(me)
            except DataError:
                return
            if validator.primary.consensus.commits:
                raise Fault("replay", f"validator {me} takes a log that was changed")


def _is_comparable(archive: Archive, log: list[Commit], first: int) -> bool:
    """Whether the disk has all that the last commits are worked out from: not where it came too late to be stored, nor
    where a snapshot after `first` commits is so new that they are in it.
    """
    if not log or log[-1].number - first < COMPARED:
        return False
    floor = archive.floor(log[-1].number - COMPARED)
    certificates = list(archive.certificates(floor))
    held = {certificate.digest for certificate in certificates}
    return all(held.issuperset(each.header.parents) for each in certificates if each.round > floor)


def play(seed: int) -> Counter[str]:
    """Carry out the plan of this number; what there was to see. Raises Fault, or whatever the product raises."""
    return Committee(Plan.draw(seed)).carry_out()
