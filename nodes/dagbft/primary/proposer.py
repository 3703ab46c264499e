"""Own headers: making them, counting votes on them, and returning their batches if they are never ordered.

Invariant: at most one header is made for each round, and the effects that send it also record it. It is sent again
until it has a certificate. Votes on it count until two rounds later; then it is given up, and its batches wait for
another header. Before a header is made, the own workers are asked to seal their batches, with a bounded wait.
"""

from __future__ import annotations

from nodes.dagbft.identity import Verifier
from nodes.dagbft.messages import Certificate, Header, Vote
from nodes.dagbft.primary.ballot import Ballot
from nodes.dagbft.primary.coin import Coin
from nodes.dagbft.primary.effects import ALL
from nodes.dagbft.primary.pace import NEVER
from nodes.dagbft.primary.payload import Name
from nodes.dagbft.primary.records import header_record, no_header_record
from nodes.dagbft.primary.sealing import Sealing
from nodes.dagbft.primary.shared import Shared, Signer

MOST_BATCHES = 1000  # in one header


class Proposer:
    """Part of a primary's core, which it accesses as `Shared`."""

    def __init__(self, core: Shared, signer: Signer, verifier: Verifier, coin: Coin | None) -> None:
        self.round = 0  # of the last own header
        self.ballots: dict[int, Ballot] = {}  # own headers without a certificate, by round
        self.sealing = Sealing(core)
        self._core = core
        self._signer = signer
        self._verifier = verifier
        self._coin = coin
        self._open: dict[int, tuple[Name, ...]] = {}  # batches of own certified blocks that are not ordered, by round
        self._kept: list[int] = []  # rounds of own headers on disk
        self._decided = 0  # own blocks up to this round may have been ordered by commits that are not known here

    @property
    def _may_propose(self) -> bool:
        core = self._core
        return core.pace.round >= self.round and core.may_propose

    def due_s(self) -> float:
        """When the next header is due."""
        if not self._may_propose:
            return NEVER
        core = self._core
        shard = core.roster.committee.shard(core.me, core.pace.round + 1)
        return max(core.pace.due_s(core.payload.waiting(shard)), self.sealing.due_s())

    def propose(self, now_s: float) -> None:
        """Make the header that is due, if any; have its batches sealed as soon as it can be made."""
        if not self._may_propose:
            return
        core = self._core
        round = core.pace.round + 1
        self.sealing.ask(round, now_s)
        if now_s < self.due_s():
            return
        self.round = round
        core.pace.note_header(now_s)
        self._give_up(round - 1)
        header = self._make(round)
        core.effects.persist.append(header_record(header))
        core.votes.enter((round, core.me), header.id)
        self._kept.append(round)
        while len(self._kept) > 3:
            core.effects.persist.append(no_header_record(self._kept.pop(0)))
        core.effects.made.append(header)
        self._open_ballot(header, now_s)

    def _make(self, round: int) -> Header:
        core = self._core
        shard = core.roster.committee.shard(core.me, round)
        payload, inline = core.payload.take(shard, MOST_BATCHES)
        parents = sorted(
            certificate.digest
            for author in range(core.roster.committee.n)
            if (certificate := core.blocks.at((round - 1, author))) is not None
        )
        mode = core.blocks.mode_of(core.me, round, parents)
        assert mode is not None  # proposed rounds are far above the floor
        unsigned = Header(
            epoch=core.roster.epoch,
            author=core.me,
            round=round,
            payload=payload,
            inline=inline,
            parents=tuple(parents),
            shard=shard,
            summary=core.payload.summary(payload, core.keys_of(inline)),
            coin_share=self._coin.share(round) if self._coin is not None else b"",
            mode=mode,
            run=core.roster.run,
            signature=bytes(64),
        )
        return replace_signature(unsigned, self._signer.sign(unsigned.id))

    def _open_ballot(self, header: Header, now_s: float) -> None:
        """Send an own header, and vote for it."""
        core = self._core
        self.ballots[header.round] = ballot = Ballot(header, again_s=now_s + core.config.retry_s)
        public = core.roster.publics[core.me]
        self._verifier.trust(public, header.id, header.signature)
        ballot.votes[core.me] = signature = self._signer.sign(ballot.digest)
        self._verifier.trust(public, ballot.digest, signature)
        core.effects.send.append((ALL, header))

    @property
    def again_s(self) -> float:
        """When an own header is to be sent again."""
        return min((ballot.again_s for ballot in self.ballots.values()), default=NEVER)

    def remind(self, now_s: float) -> None:
        """Send own headers without a certificate again to validators whose votes are missing.

        These may have been unable to use the header when it arrived, or have lost their vote in a crash.
        """
        core = self._core
        for ballot in self.ballots.values():
            if now_s >= ballot.again_s:
                ballot.again_s = now_s + core.config.retry_s
                for other in range(core.roster.committee.n):
                    if other not in ballot.votes:
                        core.effects.send.append((other, ballot.header))

    def begin(self) -> None:
        """After a restart: own blocks in the log are ordered; whether older ones were is not known."""
        core = self._core
        self._decided = core.archive.begin().leader
        for slot in (slot for commit in core.archive.commits() for slot in commit.blocks if slot[1] == core.me):
            core.payload.ordered(header.names if (header := core.header_at(slot)) else ())

    def resume(self, headers: list[Header], now_s: float) -> None:
        """After a restart: send the last own header again, byte for byte, if it has no certificate."""
        core = self._core
        self.round = headers[-1].round
        self._kept = [header.round for header in headers]
        for header in headers:
            if core.votes.find((header.round, core.me)) is None:
                core.votes.enter((header.round, core.me), header.id)
            if core.blocks.at((header.round, core.me)) is not None or header.round in self._open:
                continue
            if header.round <= self._decided:
                core.payload.ordered(header.names)
            elif header.round == self.round and header.round > core.blocks.floor:
                self._open_ballot(header, now_s)
            else:
                core.counts["reinjected"] += core.payload.again(header.names)

    def count(self, ballot: Ballot, vote: Vote) -> Certificate | None:
        """Count a vote; returns the certificate if this completes one, and sends it to all."""
        ballot.votes[vote.voter] = vote.signature
        certificate = ballot.certificate(self._core.roster.committee.quorum)
        if certificate is not None:
            self._core.effects.send.append((ALL, certificate))
        return certificate

    def certified(self, certificate: Certificate) -> None:
        """An own block was added to the DAG."""
        self.ballots.pop(certificate.round, None)
        core, header = self._core, certificate.header
        if header.round <= self._decided:
            core.payload.ordered(header.names)
        else:
            self._open[certificate.round] = header.names
            core.payload.carried(header, core.keys_of)
        self.sealing.release(header.payload)

    def ordered(self, round: int) -> None:
        """The own block of a round was ordered."""
        self._core.payload.ordered(self._open.pop(round, ()))

    def lost(self, floor: int) -> None:
        """Own blocks up to `floor` that are not ordered never will be: their batches wait again."""
        for round in [round for round in self._open if round <= floor]:
            self._core.counts["reinjected"] += self._core.payload.again(self._open.pop(round))

    def _give_up(self, before: int) -> None:
        """Give up own headers of rounds below `before` that have no certificate."""
        for round in [round for round in self.ballots if round < before]:
            self._core.counts["given up"] += 1
            self._core.counts["reinjected"] += self._core.payload.again(self.ballots.pop(round).header.names)

    def collect(self, floor: int) -> None:
        self._give_up(floor + 1)


def replace_signature(header: Header, signature: bytes) -> Header:
    """The same header, signed."""
    fields = {name: getattr(header, name) for name in header.__dataclass_fields__}
    return Header(**{**fields, "signature": signature})
