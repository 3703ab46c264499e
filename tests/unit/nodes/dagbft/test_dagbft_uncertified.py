"""Validators without certificates on the jumping clock: they commit, bear faults and liars, and come back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from emulator.sdk.disk import MemoryDisk
from nodes.dagbft.consensus.core import Commit
from nodes.dagbft.execution.transactions import NOTHING, Code, Kind, Transaction, encode, home_shard, key_of
from nodes.dagbft.field_types import Cause
from nodes.dagbft.identity import Roster
from nodes.dagbft.messages import BlockReply, BlockRequest, FinalReply, Header, TailRequest, Vote
from nodes.dagbft.primary.effects import ALL, Effects
from nodes.dagbft.primary.proposer import replace_signature
from nodes.dagbft.simulate.network import five_regions, uniform
from nodes.dagbft.simulate.seals import Seal, SealVerifier
from nodes.dagbft.simulate.simulation import Settings, Simulation
from nodes.dagbft.simulate.validator import PRIMARY
from nodes.dagbft.uncertified.config import UncertifiedConfig
from nodes.dagbft.uncertified.core import UncertifiedCore

CONFIG = UncertifiedConfig(look_back=6, keep=20, leader_timeout_s=0.3)


def committee(n: int = 4, config: UncertifiedConfig = CONFIG, make: dict[int, Any] | None = None, **more) -> Simulation:
    return Simulation(Settings(n=n, delay=more.pop("delay", uniform(0.03)), uncertified=config, **more), make)


def check(run: Simulation, *but: int) -> list[Commit]:
    """The longest log, of which all others are prefixes; no slot twice, no second block of a round."""
    logs = sorted((run.log(each.me) for each in run.validators if each.me not in but), key=len)
    assert all(logs[-1].startswith(log) for log in logs)
    for each in run.validators:
        if each.me not in but:
            assert not each.history.again
            slots = [slot for commit in each.primary.archive.commits() for slot in commit.blocks]
            assert len(slots) == len(set(slots))
    return max((each.history.commits() for each in run.validators if each.me not in but), key=len)


def test_all_commit_the_same_leaders_three_delays_after_they_are_made() -> None:
    run = committee().start().run(10)
    commits = check(run)
    assert len(commits) > 400
    history = run.validators[0].history
    times = {commit.leader: t_s for t_s, commit in history.events if isinstance(commit, Commit)}
    waits = [times[leader] - history.made[leader[0]][0] for leader in times if leader[1] == 0]
    assert min(waits) >= 0.09 - 1e-9
    assert sorted(waits)[len(waits) // 2] <= 0.095


def test_ten_validators_in_five_regions() -> None:
    """Links alone: the median of leader commits, at the leader's author, of the forecast for docs/lemonshark.md."""
    run = committee(10, delay=five_regions).start().run(20)
    check(run)
    waits = []
    for validator in run.validators:
        times = {commit.leader: t_s for t_s, commit in validator.history.events if isinstance(commit, Commit)}
        made = validator.history.made
        waits += [times[leader] - made[leader[0]][0] for leader in times if leader[1] == validator.me]
    assert 0.2 < sorted(waits)[len(waits) // 2] < 0.4


@pytest.mark.parametrize("n", [4, 7])
def test_f_that_never_live_are_borne_and_soon_not_waited_for(n: int) -> None:
    faults = (n - 1) // 3
    run = committee(n).start(*range(faults)).run(20)
    commits = check(run, *range(faults))
    assert len(commits) > 300
    assert all(commit.leader[1] >= faults for commit in commits)


def test_without_a_quorum_nothing_happens_and_then_all_goes_on() -> None:
    run = committee().start(0, 1).run(5)
    assert not check(run, 0, 1)
    run.validators[0].start()
    run.network.up(0)
    assert len(check(run.run(5), 1)) > 50


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("kind", ["header", "commit"])
def test_a_crash_around_the_records_of_a_block_makes_no_second_one(moment: str, kind: str) -> None:
    run = committee().start().run(2)
    for _ in range(4):
        run.validators[1].crash_point = lambda process, effects: (
            moment if process == PRIMARY and any(record.table == kind for record in effects.persist) else ""
        )
        run.run(0.5)
        assert not run.validators[1].alive
        run.restart(1)
        run.run(0.5)
    before = len(run.validators[1].history.commits())
    check(run.run(3))
    assert len(run.validators[1].history.commits()) > before + 50


def test_one_that_was_away_for_longer_than_is_kept_catches_up() -> None:
    run = committee().start().run(1)
    run.crash(2)
    run.run(20)
    run.restart(2)
    run.run(10)
    check(run)
    assert run.validators[2].primary.proposer.round > run.validators[0].primary.proposer.round - 5


def test_one_that_was_cut_off_catches_up() -> None:
    run = committee().start().run(1)
    run.network.cut([(0, 1, 3)])
    run.run(10)
    run.network.heal()
    run.run(8)
    check(run)
    assert run.validators[2].primary.proposer.round > run.validators[0].primary.proposer.round - 5


def test_a_lost_disk_is_followed_by_silence_and_no_second_block() -> None:
    run = committee().start().run(3)
    last = max(run.validators[1].history.made)
    run.crash(1, wipe=True)
    run.restart(1)
    run.run(8)
    check(run)
    made = [round for round in run.validators[1].history.made if round > last]
    assert made
    assert not run.validators[1].history.again
    assert run.validators[1].primary._quiet >= last
    run.crash(1)
    run.restart(1)
    assert run.validators[1].primary._quiet >= last


class Equivocator:
    """Makes a second block in each round, with fewer parents where it can, and shows it to the upper half."""

    def __init__(self, core: UncertifiedCore) -> None:
        self.core = core
        self.twins = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.core, name)

    def take(self) -> Effects:
        effects, n = self.core.take(), self.core.roster.committee.n
        send: list[Any] = []
        for receiver, message in effects.send:
            if isinstance(message, Header) and receiver == ALL:
                twin = self.twin(message)
                send += [(other, twin if other >= n // 2 else message) for other in range(n) if other != self.core.me]
            else:
                send.append((receiver, message))
        effects.send = send
        return effects

    def twin(self, block: Header) -> Header:
        self.twins += 1
        parents = block.parents[: max(self.core.roster.committee.quorum, len(block.parents) - 1)]
        payload = block.payload if len(parents) < len(block.parents) else (*block.payload, (bytes(32), 0))
        if block.round == 1:
            payload, parents = ((bytes(32), 0),), ()
        unsigned = replace(block, parents=parents, payload=payload, signature=bytes(64))
        seal = Seal(self.core.roster.publics[self.core.me])
        return replace_signature(unsigned, seal.sign(unsigned.id))


@pytest.mark.parametrize("n", [4, 7])
def test_an_equivocator_forks_nobody_and_stops_nobody(n: int) -> None:
    run = committee(n, make={0: Equivocator}).start().run(15)
    commits = check(run, 0)
    assert len(commits) > 150
    rejected = sum(
        count for each in run.validators[1:] for (why, peer), count in each.primary.rejected.items()
        if (why, peer) == ("equivocation", 0)
    )  # fmt: skip
    assert rejected > 0
    for each in run.validators[1:]:
        core = each.primary
        assert len(core.blocks) <= (20 + 16) * (n + 2)
        assert len(core._suspended) < 64


def test_what_clients_send_is_executed_everywhere_and_answered_when_committed() -> None:
    replies: dict[bytes, set[tuple[int, int]]] = {}
    run = committee(ledger=True).start()

    def note(validator: Any, reply: Any) -> None:
        if isinstance(reply, FinalReply):
            assert reply.cause == Cause.COMMITTED
            for id, _ in reply.results:
                replies.setdefault(id, set()).add((validator.me, reply.cause))

    run.on_reply = note
    run.run(1)
    for number in range(60):
        shard = number % 4
        operations = ((int(Code.ADD), key_of(shard, number % 7), 0, 1),)
        transaction = Transaction(int(Kind.ALPHA), 0, shard, number.to_bytes(16, "big"), NOTHING, 0, 1, 0, operations)
        run.validators[number % 3].submit(0, encode(transaction))
        assert home_shard(encode(transaction)) == shard
        run.run(0.05)
    run.run(4)
    check(run)
    assert len(replies) == 60
    assert all(len(told) == 1 for told in replies.values())
    ledgers = [each.ledger for each in run.validators]
    assert sum(ledgers[0].state.values()) == 60
    least = min(ledger.commits for ledger in ledgers)
    assert len({each.history.digests[least] for each in run.validators if least in each.history.digests}) == 1
    run.crash(1)
    run.restart(1)
    run.run(3)
    assert run.validators[1].ledger.state == run.validators[0].ledger.state
    assert run.validators[1].ledger.counts.early_wrong == 0


# The core alone


class Stage:
    """Validator 0 as a core; 1, 2 and 3 as the test plays them."""

    def __init__(self, config: UncertifiedConfig = CONFIG) -> None:
        self.roster = Roster.of(1, ["a", "b", "c", "d"])
        self.seals = [Seal(public) for public in self.roster.publics]
        self.disk = MemoryDisk()
        self.core = UncertifiedCore(0, self.roster, self.seals[0], SealVerifier(), config, self.disk)
        self.now_s = 0.0
        self.rounds: list[list[Header]] = [[]]

    def block(self, author: int, round: int, parents: list[Header] | None = None, /, **given) -> Header:
        """A sound block, but for what is given."""
        below = self.rounds[round - 1] if parents is None else parents
        values = {
            "epoch": 0, "author": author, "round": round, "payload": (), "inline": b"",
            "parents": tuple(sorted(b.id for b in below)),
            "shard": self.roster.committee.shard(author, round), "summary": bytes(32), "coin_share": b"", "mode": 0,
            "run": self.roster.run, "signature": bytes(64), **given,
        }  # fmt: skip
        unsigned = Header(**values)
        if "signature" in given:
            return unsigned
        return replace_signature(unsigned, self.seals[author].sign(unsigned.id))

    def say(self, peer: int, message: Any) -> Effects:
        self.core.on_message(peer, message, self.now_s)
        effects = self.core.take()
        self.disk.apply(effects.persist)
        return effects

    def play_round(self) -> list[Header]:
        """A round of blocks of 1, 2 and 3, told."""
        round = len(self.rounds)
        blocks = [self.block(author, round) for author in (1, 2, 3)]
        for block in blocks:
            self.say(block.author, block)
        self.rounds.append(blocks)
        return blocks

    def rejected(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for (reason, _), count in self.core.rejected.items():
            found[reason] = found.get(reason, 0) + count
        return found


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"epoch": 3}, "epoch"),
        ({"run": b"another!"}, "run"),
        ({"round": 0, "parents": ()}, "stale"),
        ({"shard": 0}, "shard"),
        ({"payload": ((bytes(32), 9),)}, "worker"),
        ({"parents": ()}, "parents"),
        ({"mode": 1}, "mode"),
        ({"coin_share": b"x"}, "coin"),
        ({"summary": b"\1" * 32}, "summary"),
        ({"inline": b"no batch"}, "inline"),
        ({"inline": bytes(2001)}, "inline"),
        ({"signature": bytes(64)}, "signature"),
    ],
)
def test_refusals_are_counted_by_reason(given: dict[str, Any], reason: str) -> None:
    stage = Stage()
    stage.play_round()
    held = len(stage.core.blocks)
    stage.say(1, stage.block(1, 2, **given))
    assert stage.rejected() == {reason: 1}
    assert len(stage.core.blocks) == held


def test_misplaced_messages_and_false_senders_are_counted() -> None:
    stage = Stage()
    stage.say(1, Vote(bytes(32), 1, 0, 1, bytes(64)))
    stage.say(1, stage.block(2, 1))
    assert stage.rejected() == {"misplaced": 1, "sender": 1}


def test_a_parent_of_another_round_is_refused() -> None:
    stage = Stage()
    first, second = stage.play_round(), stage.play_round()
    stage.say(1, stage.block(1, 3, [*second[:2], first[2]]))
    assert stage.rejected() == {"parents": 1}


def test_missing_ancestors_are_asked_for_and_what_waits_is_taken_in() -> None:
    stage = Stage()
    first = [stage.block(author, 1) for author in (1, 2, 3)]
    second = [stage.block(author, 2, first) for author in (1, 2, 3)]
    late = stage.block(3, 3, second)
    asked = [message for _, message in stage.say(3, late).send if isinstance(message, BlockRequest)]
    assert {digest for each in asked for digest in each.digests} == {block.id for block in second}
    again = stage.say(3, BlockReply(tuple(second)))
    asked = [message for _, message in again.send if isinstance(message, BlockRequest)]
    assert {digest for each in asked for digest in each.digests} == {block.id for block in first}
    assert all(each.ancestors > 0 for each in asked), "one level led to another: more of them at once"
    stage.say(3, BlockReply(tuple(first)))
    assert late.id in stage.core.blocks
    assert not stage.core._suspended


def test_a_block_whose_batch_is_not_here_waits_for_it() -> None:
    stage = Stage()
    stage.play_round()
    block = stage.block(1, 2, payload=((b"\7" * 32, 0),))
    effects = stage.say(1, block)
    assert block.id not in stage.core.blocks
    assert effects.workers
    stage.core.on_batch(b"\7" * 32, 0, frozenset(), False, 0.1, 100)
    assert block.id in stage.core.blocks


def test_a_second_block_of_a_slot_is_taken_only_where_another_needs_it() -> None:
    stage = Stage()
    first = stage.play_round()
    stage.play_round()
    twin = stage.block(3, 2, first, payload=((b"\7" * 32, 0),))
    stage.core.on_batch(b"\7" * 32, 0, frozenset(), False, 0.1, 100)
    stage.say(3, twin)
    assert twin.id not in stage.core.blocks
    assert stage.rejected() == {"equivocation": 1, "equivocator": 1}
    stage.say(1, stage.block(1, 3, [*stage.rounds[2][:2], twin]))
    stage.say(1, BlockReply((twin,)))
    assert twin.id in stage.core.blocks
    assert 3 in stage.core.equivocators


def test_parked_blocks_are_bounded() -> None:
    stage = Stage(replace(CONFIG, most_parked=5))
    stage.play_round()
    strangers = tuple(sorted(bytes([number]) * 32 for number in (7, 8, 9)))
    for round in range(10, 30):
        stage.say(1, stage.block(1, round, [], parents=strangers))
    assert len(stage.core._suspended) == 5
    assert stage.rejected() == {"parked": 15}
    stage.say(1, stage.block(1, 1000, [], parents=strangers))
    assert stage.core.counts["ahead"] == 1


def test_requests_are_answered_within_limits() -> None:
    stage = Stage(replace(CONFIG, most_answers=8))
    blocks = [*stage.play_round(), *stage.play_round()]
    assert stage.say(2, BlockRequest((blocks[0].id, bytes(32)))).send == [(2, BlockReply((blocks[0],)))]
    ((_, reply),) = stage.say(1, TailRequest(1)).send
    assert {block.round for block in reply.blocks} >= {2}
    ((_, newest),) = stage.say(3, BlockRequest((), 77)).send
    assert newest.nonce == 77
    assert {block.round for block in newest.blocks} == {2}
    for _ in range(8):
        effects = stage.say(2, BlockRequest((blocks[0].id,)))
    assert effects.send == []


def test_a_liar_cannot_silence_one_that_lost_its_disk_for_ever() -> None:
    """A round far away, without blocks of a quorum, counts as none."""
    stage = Stage()
    core = UncertifiedCore(0, stage.roster, stage.seals[0], SealVerifier(), CONFIG, MemoryDisk(), 5.0, genesis=False)
    assert core.probing
    nonce = next(message.nonce for _, message in core.take().send if isinstance(message, BlockRequest))
    full = tuple(stage.block(author, 1) for author in (1, 2, 3))
    strangers = tuple(sorted(bytes([number]) * 32 for number in (7, 8, 9)))
    core.on_message(1, BlockReply((stage.block(1, 10**9, [], parents=strangers),), nonce), 5.1)
    core.on_message(2, BlockReply(full, nonce), 5.1)
    assert core.probing
    core.on_message(3, BlockReply(full, nonce), 5.1)
    assert not core.probing
    assert core._quiet == 3
