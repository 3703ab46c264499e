"""Making a route proof: what to ask of which chain after which block, and the proof that the answers make.

Invariant: a question has one answer for ever, as it is about a past block; so what several proofs need is asked once.
No sockets: `Builder.missing` is what to ask, `Builder.add` takes an answer.

The state after block h is proved under the header of h + 1. So where a hop's client knows height h of the next chain,
that chain is asked about block h - 1.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from nodes.ibc.core import paths as ibc_paths
from nodes.ibc.proto.channel_v2 import Packet
from nodes.ibc.proto.comet import SimpleValidator
from nodes.ibc.proto.ibc import Height, MerkleProof
from nodes.ibc.proto.ics23 import CommitmentProof, ExistenceProof
from nodes.ibc.relayer.calls import Proven, Stored
from nodes.xroute.names.binding import key_of_binding
from nodes.xroute.names.labels import STORE as NAMES
from nodes.xroute.proofs import paths
from nodes.xroute.proofs.messages import Hop, HopRecord, RouteProof

__all__ = ["Builder", "Leg", "Plan"]

MOST_ANSWERS = 4096


@dataclass(frozen=True, slots=True)
class Leg:
    """A hop as a relayer knows it: the client of a chain that is used, and the height of the next chain that it knows.

    `chain` is what calls name the chain that has the client.
    """

    chain: str
    client: str
    height: Height
    connection: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """A proof to make: a route from the verifying chain on, and the key to be proved of the chain at its end."""

    legs: tuple[Leg, ...]
    far: str
    key: bytes
    pays_updates: bool = False  # whether to prove who brought the heights

    def questions(self) -> Iterator[Stored]:
        """All that the proof needs."""
        for before, leg in pairwise(self.legs):
            yield from self.of_hop(before, leg).values()
        yield self.of_key()

    def of_key(self) -> Stored:
        return Stored(self.far, self.key, self.legs[-1].height.revision_height - 1)

    def of_hop(self, before: Leg, leg: Leg) -> Mapping[str, Stored]:
        """What is asked of a transit, by the field of `Hop` that it is for."""
        after = before.height.revision_height - 1
        client, height = leg.client, leg.height
        consensus = ibc_paths.consensus_state(client, height.revision_number, height.revision_height)
        peer = ibc_paths.connection(leg.connection) if leg.connection else ibc_paths.client_counterparty(client)
        found = {
            "client": Stored(leg.chain, ibc_paths.client_state(client), after),
            "consensus": Stored(leg.chain, consensus, after),
            "peer": Stored(leg.chain, peer, after),
            "binding": Stored(leg.chain, key_of_binding(client), after, NAMES),
            "transit": Stored(leg.chain, paths.TRANSIT, after),
        }
        if self.pays_updates:
            found["updater"] = Stored(leg.chain, paths.updater(client, height), after)
        return found


@dataclass
class Builder:
    """Answers, and the proofs that they make."""

    most: int = MOST_ANSWERS
    _answers: OrderedDict[Stored, MerkleProof] = field(default_factory=OrderedDict)

    def missing(self, plan: Plan) -> tuple[Stored, ...]:
        """What is still to be asked for a proof."""
        return tuple(each for each in plan.questions() if each not in self._answers)

    def add(self, question: Stored, answer: Proven) -> None:
        """Take an answer. WireError where its proof is none. The oldest one is forgotten where there are too many."""
        self._answers[question] = MerkleProof.decode(answer.proof, strict=False)
        while len(self._answers) > self.most:
            self._answers.popitem(last=False)

    def proof(
        self,
        plan: Plan,
        packet: Packet,
        *,
        policy: bytes = b"",
        payee: bytes = b"",
        names: Sequence[bytes] = (),
        records: Sequence[HopRecord] = (),
        validators: Mapping[int, tuple[SimpleValidator, ...]] | None = None,
    ) -> RouteProof:
        """The proof, once nothing is missing. `validators` are of the chains that hops track, by the hop's number."""
        sets = validators or {}
        first = plan.legs[0]
        hops = [Hop(first.client, first.height, connection=first.connection, validators=sets.get(0, ()))]
        for place, (before, leg) in enumerate(pairwise(plan.legs), 1):
            hops.append(self._hop(plan, before, leg, sets.get(place, ())))
        inner, outer = self._parts(plan.of_key())
        return RouteProof(packet, policy, tuple(hops), outer, inner, tuple(names), payee, tuple(records))

    def _hop(self, plan: Plan, before: Leg, leg: Leg, validators: tuple[SimpleValidator, ...]) -> Hop:
        parts = {name: self._parts(question) for name, question in plan.of_hop(before, leg).items()}
        shown = {name: inner.exist for name, (inner, _) in parts.items()}
        updater: ExistenceProof | None = shown.get("updater")
        return Hop(
            client_id=leg.client,
            height=leg.height,
            store=parts["client"][1],
            client=shown["client"],
            consensus=shown["consensus"],
            connection=leg.connection,
            peer=shown["peer"],
            names=parts["binding"][1],
            binding=shown["binding"],
            transit=parts["transit"][0],
            validators=validators,
            updater=updater,
        )

    def _parts(self, question: Stored) -> tuple[CommitmentProof, tuple[CommitmentProof, ...]]:
        """The proof in the innermost tree, and those of the trees around it, which all keys of a store share."""
        self._answers.move_to_end(question)
        inner, *outer = self._answers[question].proofs
        return inner, tuple(outer)
