"""Making edges: clients of chains of each other, bound to the chains' identities, that name each other.

Invariant: a client is bound before it is given a counterparty, as only its creator may bind it, and the chain forgets
who that is; a relayer that was killed on the way leaves at most clients behind that nobody uses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from nodes.ibc.comet.commits import SignatureCache
from nodes.ibc.core import paths as keys
from nodes.ibc.proto import ibc
from nodes.ibc.proto.comet import LightBlock, SignedHeader, ValidatorSet
from nodes.ibc.proto.wire import Message
from nodes.ibc.relayer.calls import Flow, SignedHeaderAt, Unanswered, ValidatorsAt, Wait, header_of
from nodes.ibc.relayer.clients import Client
from nodes.ibc.relayer.clock import Clock
from nodes.ibc.relayer.opening import ClientTerms, Side, client_message, required
from nodes.ibc.relayer.signer import Signer
from nodes.ibc.relayer.submission import Outcome
from nodes.xroute.identity import ANCHOR_HEIGHT
from nodes.xroute.names.messages import MsgBindClient
from nodes.xroute.relayer.network import Network

__all__ = ["Opening"]

BATCH = 50  # headers that are asked for at once
MOST_CLIENTS = 4  # of one transaction, so that it fits into a block with a limit of gas


@dataclass
class Opening:
    """The edges that a relayer makes: each chain has a procedure of its own, with a transaction for each step."""

    network: Network
    terms: ClientTerms
    clock: Clock
    made: dict[tuple[str, str], str] = field(default_factory=dict)  # clients by host and subject
    bound: set[tuple[str, str]] = field(default_factory=set)

    def run(self, host: Side, others: Sequence[Side]) -> Flow[None]:
        """Make what one chain needs for routes to these others, unless it is there. It may be tried again."""
        subjects = [other for other in others if not self._is_there(host, other)]
        yield from self._create(host, [each for each in subjects if (host.chain, each.chain) not in self.made])
        yield from self._bind(host, [each for each in subjects if (host.chain, each.chain) not in self.bound])
        if subjects:
            yield Wait(lambda: all((each.chain, host.chain) in self.made for each in subjects))
            registered = [
                ibc.MsgRegisterCounterparty(
                    self.made[host.chain, each.chain], (keys.STORE, b""), self.made[each.chain, host.chain], ""
                )
                for each in subjects
            ]
            yield from _all_sent(host.signer, registered)

    def _is_there(self, host: Side, other: Side) -> bool:
        ends = self.network.identities[host.chain], self.network.identities[other.chain]
        return any((edge.verifier, edge.tracked) == ends for edge in self.network.graph.edges)

    def _create(self, host: Side, subjects: Sequence[Side]) -> Flow[None]:
        messages: list[ibc.MsgCreateClient] = []
        for each in subjects:
            messages += ((yield from client_message(each, self.terms)),)
        if not messages:
            return
        outcomes = yield from _all_sent(host.signer, messages)
        events = [event for outcome in outcomes if outcome.result for event in outcome.result.events]
        names = [event["client_id"] for event in events if event.type == "create_client"]
        if len(names) != len(subjects):
            raise Unanswered(f"{len(names)} new clients on {host.chain}, of {len(subjects)}")
        self.made |= {(host.chain, each.chain): name for each, name in zip(subjects, names, strict=True)}

    def _bind(self, host: Side, subjects: Sequence[Side]) -> Flow[None]:
        messages: list[MsgBindClient] = []
        for each in subjects:
            messages += ((yield from self._binding(host, each)),)
        if messages:
            yield from _all_sent(host.signer, messages)
            self.bound |= {(host.chain, each.chain) for each in subjects}

    def _binding(self, host: Side, subject: Side) -> Flow[MsgBindClient]:
        """What binds a client to the identity of its chain: the headers from its newest state back to the anchor.

        Before them comes what the chain needs to believe the newest: the next one that announces no other validators.
        """
        name, chain = self.made[host.chain, subject.chain], subject.chain
        client = Client(host.chain, name, chain, self.clock, SignatureCache())
        yield from client.load()
        signed = yield from _up_to_steady(subject, max(client.latest, ANCHOR_HEIGHT + 1))
        first = header_of(signed[-1]).height
        for last in range(first - 1, ANCHOR_HEIGHT - 1, -BATCH):
            heights = range(last, max(last - BATCH, ANCHOR_HEIGHT - 1), -1)
            signed += yield tuple(SignedHeaderAt(chain, height) for height in heights)
        *above, anchor = map(header_of, signed)
        blocks: list[LightBlock] = []
        for each, header in zip(signed, above, strict=False):
            if not blocks or header.next_validators_hash != header.validators_hash:
                (validators,) = yield (ValidatorsAt(chain, header.height),)
                blocks.append(LightBlock(each, ValidatorSet(validators)))
        return MsgBindClient(name, anchor, blocks[0], tuple(above[1:]), "", tuple(blocks[1:]))


def _all_sent(signer: Signer, messages: Sequence[Message]) -> Flow[list[Outcome]]:
    """Messages in as many transactions as they need, all of one account. Unanswered or Blocked as `required` has it."""
    groups = [messages[first : first + MOST_CLIENTS] for first in range(0, len(messages), MOST_CLIENTS)]
    outcomes = yield from signer.submit(groups, signer.first)
    return [required(outcome, signer, group) for outcome, group in zip(outcomes, groups, strict=True)]


def _up_to_steady(subject: Side, first: int) -> Flow[list[SignedHeader]]:
    """Headers from a height on, the newest first: up to one after which validators do not change."""
    signed: list[SignedHeader] = []
    while not signed or header_of(signed[0]).next_validators_hash != header_of(signed[0]).validators_hash:
        signed = [(yield from _once_made(subject, first + len(signed))), *signed]
    return signed


def _once_made(subject: Side, height: int) -> Flow[SignedHeader]:
    yield Wait(lambda: subject.followed.height >= height)
    header: SignedHeader
    (header,) = yield (SignedHeaderAt(subject.chain, height),)
    return header
