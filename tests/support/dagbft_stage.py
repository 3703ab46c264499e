"""A primary's core among validators that the test plays: `Stage` signs in their names."""

from dataclasses import replace

from emulator.sdk.disk import MemoryDisk
from nodes.dagbft.consensus.coin import SeededCoin
from nodes.dagbft.consensus.core import Rules
from nodes.dagbft.execution.transactions import summary_of
from nodes.dagbft.field_types import vote_digest
from nodes.dagbft.identity import Roster
from nodes.dagbft.messages import (
    Certificate,
    Header,
    Vote,
)
from nodes.dagbft.primary.coin import Seeded
from nodes.dagbft.primary.config import PrimaryConfig
from nodes.dagbft.primary.core import PrimaryCore
from nodes.dagbft.simulate.seals import Seal, SealVerifier

NO_KEYS = summary_of(())
CONFIG = PrimaryConfig(rules=Rules(look_back=10, keep=20), most_parked=5)


class Stage:
    """Validator 0 as a core; 1, 2 and 3 as the test plays them."""

    def __init__(self, config: PrimaryConfig = CONFIG) -> None:
        self.roster = Roster.of(1, ["a", "b", "c", "d"])
        self.seals = [Seal(public) for public in self.roster.publics]
        self.disk = MemoryDisk()
        self.config = config
        self.now_s = 0.0
        self.core = self.begin()
        self.rounds: list[list[Certificate]] = [[]]

    def begin(self, *, genesis: bool = True) -> PrimaryCore:
        coin = Seeded(SeededCoin(self.roster.committee, 1))
        return PrimaryCore(
            0, self.roster, self.seals[0], SealVerifier(), self.config, coin, self.disk, self.now_s, genesis=genesis
        )

    def header(self, author: int, round: int, **given) -> Header:
        """A sound header, but for what is given."""
        parents = sorted(each.digest for each in self.rounds[round - 1]) if round <= len(self.rounds) else []
        values = {
            "epoch": 0, "author": author, "round": round, "payload": (), "inline": b"", "parents": tuple(parents),
            "shard": self.roster.committee.shard(author, round), "summary": NO_KEYS, "coin_share": b"",
            "mode": self.mode(author, round, parents), "run": bytes(8), "signature": bytes(64),
        }  # fmt: skip
        header = Header(**(values | given))
        return replace(header, signature=self.seals[author % 4].sign(header.id))

    def mode(self, author: int, round: int, parents: list[bytes]) -> int:
        """As the core works it out, where it holds the parents."""
        known = all(self.core.blocks.get(parent) is not None for parent in parents)
        return (self.core.blocks.mode_of(author, round, parents) or 0) if known else 0

    def certificate(self, header: Header, voters=(1, 2, 3)) -> Certificate:
        digest = vote_digest(header.id, header.round, header.author)
        return Certificate(header, tuple((voter, self.seals[voter % 4].sign(digest)) for voter in voters))

    def play(self, rounds: int, authors=(1, 2, 3)) -> None:
        """The others make so many rounds of blocks."""
        for _ in range(rounds):
            round = len(self.rounds)
            self.rounds.append([self.certificate(self.header(author, round)) for author in authors])
            for certificate in self.rounds[-1]:
                self.say(certificate.author, certificate)

    def say(self, peer: int, message) -> list:
        """Have a validator say something; what the core sends then."""
        self.core.on_message(peer, message, self.now_s)
        return self.out()

    def out(self) -> list:
        self.effects = self.core.take()
        self.disk.apply(self.effects.persist)
        return self.effects.send

    def votes(self, author: int, message) -> list[Vote]:
        return [each for to, each in self.say(author, message) if isinstance(each, Vote) and to == author]

    def refused(self) -> dict[tuple[str, int], int]:
        return dict(self.core.rejected)
