"""Mode QUORUM: staked relayers say that they saw a message, and anybody may contradict them by a route for a while.

Invariant: nothing is delivered before the time for contradiction is over, nor of a chain that no route leads to, as no
route could contradict it; who signed what a route contradicts loses the whole stake. The mode is as safe as its quorum:
both the sender and the receiver have to have asked for it.
"""

from __future__ import annotations

from dataclasses import dataclass

from nodes.ibc.core.commitments import packet_commitment_v2
from nodes.ibc.core.state import Context
from nodes.ibc.proto.channel_v2 import Packet
from nodes.ibc.proto.wire import delimited
from nodes.xroute import gas
from nodes.xroute.identity import ChainIdentity
from nodes.xroute.keys import is_signed
from nodes.xroute.module import book, policies
from nodes.xroute.module.book import Announcement, Stake
from nodes.xroute.module.errors import NO_CONTRADICTION, NOT_ANNOUNCED, NOT_ENOUGH_VOTES, TOO_EARLY
from nodes.xroute.module.events import about
from nodes.xroute.module.incoming import DONE, NOTHING_DONE, Incoming
from nodes.xroute.module.messages import (
    Certificate,
    MsgContradict,
    MsgDeliverByQuorum,
    MsgRelayResponse,
    MsgRelease,
    Statement,
)
from nodes.xroute.module.stake import Stakes
from nodes.xroute.module.terms import Terms
from nodes.xroute.proofs.messages import Mode, RouteProof
from nodes.xroute.proofs.parcel import Parcel
from nodes.xroute.proofs.rejection import Check, RouteRejected
from nodes.xroute.proofs.verify import Demand, Verified, decoded, own_identity, verify_route

__all__ = ["Quorum", "sign_bytes"]

_NS = 10**9


def sign_bytes(destination: ChainIdentity, statement: Statement) -> bytes:
    """What a relayer signs; the signature serves on one destination alone."""
    return b"xroute-statement-1" + delimited(destination) + statement.encode()


@dataclass(frozen=True, slots=True)
class Quorum:
    """Handlers of the mode."""

    incoming: Incoming
    stakes: Stakes
    terms: Terms

    def announce(self, context: Context, message: MsgDeliverByQuorum) -> MsgRelayResponse:
        """Take a certificate, and wait."""
        parcel = _parcel(context, message.packet)
        policy = self.incoming.judged(context, parcel, message.policy)
        if not self.incoming.is_new(context, parcel) or self._announced(context, parcel.id) is not None:
            return NOTHING_DONE
        policies.require_opt_in(parcel, policy, self.terms)
        if message.certificate.statement.message_id != parcel.id:
            raise NOT_ENOUGH_VOTES.error("a certificate of another message")
        seen_ns, now_ns = message.certificate.statement.source_time_ns, context.time_ns
        if seen_ns > now_ns + self.terms.challenge_ns:
            raise TOO_EARLY.error(f"seen {seen_ns - now_ns} ns from now; expected {self.terms.challenge_ns} at most")
        wanted = max(parcel.envelope.threshold, self.terms.least_votes)
        found = sum(not voter.leaves_ns for voter in self._voters(context, parcel, message.certificate))
        if found < wanted:
            raise NOT_ENOUGH_VOTES.error(f"{found} relayers with a stake; expected {wanted}")
        self._require_reached(context, parcel, message.proof)
        policies.remember(context, parcel, message.policy)
        due_ns = max(now_ns, seen_ns) + self.terms.challenge_ns  # an absence contradicts from `seen_ns` on
        announced = Announcement(message.packet, message.certificate, message.payee, due_ns)
        until_s = max(due_ns // _NS + 1, book.arrival_end_s(context, parcel))
        book.write_until(context, book.announcement(parcel.id), announced, until_s)
        packet, known = message.packet.encode().hex(), policies.known(context, parcel).hex()
        context.emit(about("xroute_announce", parcel, packet=packet, policy=known, seen_ns=seen_ns, due_ns=due_ns))
        return DONE

    def release(self, context: Context, message: MsgRelease) -> MsgRelayResponse:
        """Deliver what nobody has contradicted."""
        announced = self._announced(context, message.message_id)
        if announced is None:
            raise NOT_ANNOUNCED.error(message.message_id.hex())
        parcel = Parcel.of(announced.packet)
        if not self.incoming.is_new(context, parcel):
            return NOTHING_DONE
        if context.time_ns < announced.due_ns:
            raise TOO_EARLY.error(f"{announced.due_ns - context.time_ns} ns of the time for contradiction are left")
        self.incoming.accept(context, parcel, announced.payee, message.signer)
        return DONE

    def contradict(self, context: Context, message: MsgContradict) -> MsgRelayResponse:
        """Drop what was announced, and slash who signed it, where the source holds something else, or nothing."""
        announced = self._announced(context, message.message_id)
        if announced is None:
            raise NOT_ANNOUNCED.error(message.message_id.hex())
        proof = decoded(message.proof)
        parcel = Parcel.of(announced.packet)
        if context.ibc.get(parcel.receipt_key) is not None:
            raise NO_CONTRADICTION.error("it was delivered, and its source need not hold it any more")
        held = _held(proof)
        if held == packet_commitment_v2(announced.packet):
            raise NO_CONTRADICTION.error("the source holds what was announced")
        seen_ns = self._verify(context, parcel, proof).far_time_ns
        statement = announced.certificate.statement
        if held is None and not statement.source_time_ns <= seen_ns < parcel.packet.timeout_timestamp * _NS:
            raise NO_CONTRADICTION.error("absent before it was seen, or after its timeout")
        for voter in self._voters(context, parcel, announced.certificate):
            self.stakes.take(context, voter, message.signer)
        book.delete(context, book.announcement(parcel.id))
        context.emit(about("xroute_contradict", parcel))
        return DONE

    def _require_reached(self, context: Context, parcel: Parcel, data: bytes) -> None:
        """RouteRejected for a message of a chain that no route has led to lately, unless its proof is brought."""
        key = book.reached(parcel.source)
        if book.store_of(context).get(key) is None:
            if not data:
                raise RouteRejected(
                    Check.NAME, f"a quorum for a message of {parcel.source.hex()}", "a route to it, too"
                )
            book.keep_powers(context, self._verify(context, parcel, decoded(data)))
            book.supply(context, key, b"\x01")

    def _verify(self, context: Context, parcel: Parcel, proof: RouteProof) -> Verified:
        """A route to the source, whatever it holds of the message.

        It has to satisfy the receiver's minimum alone: the sender's policy, which may be as made up as the message,
        could be one that no route satisfies.
        """
        policy = policies.without_modes(policies.minimum_of(parcel, self.terms))
        demand = Demand.of(parcel, parcel.source, parcel.commitment_key, _held(proof), policy)
        return verify_route(context, proof, demand, self.terms.names)

    def _announced(self, context: Context, message_id: bytes) -> Announcement | None:
        return book.read(context, book.announcement(message_id), Announcement)

    def _voters(self, context: Context, parcel: Parcel, certificate: Certificate) -> list[Stake]:
        """Relayers with a stake that signed, each once; of others no signature is verified."""
        signed = sign_bytes(parcel.destination, certificate.statement)
        votes = {vote.relayer: vote.signature for vote in certificate.votes}
        context.spend(gas.SIGNATURE * len(votes))
        staked = ((book.stake_behind(context, key), signature) for key, signature in votes.items())
        return [held for held, signature in staked if held is not None and is_signed(held.key, signed, signature)]


def _held(proof: RouteProof) -> bytes | None:
    """What the source holds under the message's key, by a proof."""
    return None if proof.key.exist is None else proof.key.exist.value


def _parcel(context: Context, packet: Packet) -> Parcel:
    parcel = Parcel.of(packet)
    if parcel.destination != own_identity(context):
        raise RouteRejected(Check.NAME, f"a message to {parcel.destination.hex()}", "one to this chain")
    if parcel.envelope.mode is not Mode.QUORUM:
        raise RouteRejected(Check.CLAUSE, f"a quorum in mode {parcel.envelope.mode.word}", Mode.QUORUM.word)
    return parcel
