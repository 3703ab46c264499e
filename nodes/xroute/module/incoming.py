"""Messages that arrive: verified, handed to an application once, and answered; in mode HOP also passed on.

Invariant: an application sees a message at most once, by whatever routes and in whatever mode it comes: the receipt is
keyed by the source chain's identity and sequence, and is written in the same transaction as the application's state.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from nodes.ibc.core.commitments import UNIVERSAL_ERROR
from nodes.ibc.core.keepers import PayloadApplication
from nodes.ibc.core.state import Context
from nodes.ibc.proto.channel import ResponseResultType
from nodes.ibc.proto.channel_v2 import Acknowledgement, PacketStatus
from nodes.xroute.identity import ChainIdentity
from nodes.xroute.module import book, policies
from nodes.xroute.module.book import RoutesUsed, RouteUsed
from nodes.xroute.module.errors import INVALID_MESSAGE, UNKNOWN_PORT
from nodes.xroute.module.events import about, answered
from nodes.xroute.module.messages import Answer, MsgDeliver, MsgRelayResponse
from nodes.xroute.module.terms import Terms
from nodes.xroute.policy.clauses import LimitKind, Policy
from nodes.xroute.proofs import paths
from nodes.xroute.proofs.messages import Mode, RouteProof
from nodes.xroute.proofs.parcel import Parcel
from nodes.xroute.proofs.rejection import Check, RouteRejected
from nodes.xroute.proofs.transit import TransitPolicy
from nodes.xroute.proofs.verify import Demand, Verified, decoded, own_identity, require_bytes, verify_route

__all__ = ["DONE", "NOTHING_DONE", "Incoming"]

NOTHING_DONE = MsgRelayResponse(ResponseResultType.NOOP)
DONE = MsgRelayResponse(ResponseResultType.SUCCESS)


@dataclass(frozen=True, slots=True)
class Incoming:
    """Handlers of what arrives. `applications` are by port."""

    applications: Mapping[str, PayloadApplication]
    terms: Terms

    def deliver(self, context: Context, message: MsgDeliver) -> MsgRelayResponse:
        """By a route proof. RouteRejected by the first check, in the order of `Check`, that it fails."""
        proof = decoded(message.proof)
        parcel = Parcel.of(proof.packet)
        own = own_identity(context)
        if parcel.envelope.mode is Mode.HOP:
            return self._from_neighbour(context, message, proof, parcel, own)
        policy = self.judged(context, parcel, proof.policy)
        most_bytes = policy.limit(LimitKind.BYTES)
        if most_bytes is not None:
            require_bytes(message.proof, most_bytes)
        if not self.is_new(context, parcel):
            return NOTHING_DONE
        if parcel.envelope.mode is not Mode.E2E:
            raise RouteRejected(Check.CLAUSE, f"a route proof in mode {parcel.envelope.mode.word}", Mode.E2E.word)
        _require_here(parcel, own)
        key, value = parcel.committed(())
        demand = Demand.of(parcel, parcel.source, key, value, policy)
        verified = verify_route(context, proof, demand, self.terms.names)
        self._remember(context, parcel, proof, verified)
        count = self._count_routes(context, parcel, verified, policy)
        if count < policy.disjoint:
            result = ResponseResultType.SUCCESS if count else ResponseResultType.NOOP
            return MsgRelayResponse(result, count)
        self.accept(context, parcel, proof.payee, message.signer, verified)
        return replace(DONE, routes=count)

    def judged(self, context: Context, parcel: Parcel, supplied: bytes) -> Policy:
        """The policy that a message is judged by here (check POLICY)."""
        return policies.judged(context, parcel, supplied, self.terms)

    def is_new(self, context: Context, parcel: Parcel) -> bool:
        """Whether a message was neither delivered before (check REPLAY), nor is too late (check TIMEOUT)."""
        if context.ibc.get(parcel.receipt_key) is not None:
            return False
        if context.time_s >= parcel.packet.timeout_timestamp:
            late = f"{context.time_s} s on this chain"
            raise RouteRejected(Check.TIMEOUT, late, f"before {parcel.packet.timeout_timestamp} s")
        return True

    def accept(
        self, context: Context, parcel: Parcel, payee: bytes, relayer: str, verified: Verified | None = None
    ) -> None:
        """Write the receipt, call the application, and commit to its answer."""
        context.ibc.set(parcel.receipt_key, parcel.id)
        acknowledgement = self._apply(context, parcel, relayer)
        updaters = verified.updaters if verified else ()
        answer = Answer(acknowledgement, payee, context.time_ns, updaters)
        context.ibc.set(parcel.acknowledgement_key, answer.commitment)
        book.delete(context, book.routes(parcel.id))
        route = verified.route_id.hex() if verified else ""
        context.emit(about("xroute_deliver", parcel, route=route, mode=parcel.envelope.mode.word))
        context.emit(answered(parcel, answer))

    def _apply(self, context: Context, parcel: Parcel, relayer: str) -> Acknowledgement:
        """What the application answers. Where that is an error its changes are undone."""
        payload = parcel.envelope.payload
        application = self.applications.get(payload.destination_port)
        if application is None:
            raise UNKNOWN_PORT.error(f"port {payload.destination_port!r}; expected one of {sorted(self.applications)}")
        branch = context.branch()
        result = application.receive_payload(branch, parcel.route, payload, relayer)
        if result.status is PacketStatus.FAILURE:
            context.emit(*(each.reverted() for each in branch.events))
            return Acknowledgement((UNIVERSAL_ERROR,))
        if result.status is PacketStatus.ASYNC or result.acknowledgement in (b"", UNIVERSAL_ERROR):
            raise INVALID_MESSAGE.error(f"{payload.destination_port} answers success with no bytes of it, or later")
        branch.commit()
        return Acknowledgement((result.acknowledgement,))

    def _remember(self, context: Context, parcel: Parcel, proof: RouteProof, verified: Verified) -> None:
        """Keep what the next proof need not bring again."""
        policies.remember(context, parcel, proof.policy)
        book.keep_powers(context, verified)

    def _count_routes(self, context: Context, parcel: Parcel, verified: Verified, policy: Policy) -> int:
        """By how many routes without a common transit a message has come; 0 where this one shares a transit.

        A message that came without any transit has only one such route.
        """
        if policy.disjoint < 2:
            return 1
        key = book.routes(parcel.id)
        used = book.read(context, key, RoutesUsed) or RoutesUsed()
        earlier = {transit for route in used.routes for transit in route.transits}
        came_directly = any(not route.transits for route in used.routes)
        if not earlier.isdisjoint(verified.transits) or (came_directly and not verified.transits):
            return 0
        routes = (*used.routes, RouteUsed(verified.route_id, verified.transits))
        book.write_until(context, key, RoutesUsed(routes), book.arrival_end_s(context, parcel))
        context.emit(about("xroute_route", parcel, route=verified.route_id.hex(), routes=len(routes)))
        return len(routes)

    # Mode HOP.

    def _from_neighbour(
        self, context: Context, message: MsgDeliver, proof: RouteProof, parcel: Parcel, own: ChainIdentity
    ) -> MsgRelayResponse:
        """In mode HOP, by a proof of the chain before this one on the way that the sender chose."""
        if own not in parcel.way[1:]:
            _require_here(parcel, own)
        place = parcel.way.index(own)
        is_last = own == parcel.destination
        policy = self.judged(context, parcel, proof.policy) if is_last else Policy()
        if not self.is_new(context, parcel):
            return NOTHING_DONE
        if len(proof.hops) != 1:
            raise RouteRejected(Check.HOP, f"{len(proof.hops)} hops in mode hop", "1")
        if tuple(record.identity for record in proof.records) != parcel.way[: place - 1]:
            raise RouteRejected(Check.NAME, "records of another way", f"those of {place - 1} chains from the source on")
        key, value = parcel.committed(proof.records)
        demand = Demand.of(parcel, parcel.way[place - 1], key, value, policy, proof.records)
        verified = verify_route(context, proof, demand, self.terms.names)
        self._remember(context, parcel, proof if is_last else replace(proof, policy=b""), verified)
        if is_last:
            self.accept(context, parcel, proof.payee, message.signer, verified)
            return DONE
        published = context.ibc.get(paths.TRANSIT)
        rule = TransitPolicy() if published is None else TransitPolicy.decode(published)
        if not rule.allows(parcel.source, parcel.destination):
            raise RouteRejected(Check.HOP, f"a message that {rule.rule.name.lower()} does not let pass", "another way")
        records = (*proof.records, replace(verified.last, transit_ok=True))
        context.ibc.set(parcel.receipt_key, parcel.id)
        context.ibc.set(*parcel.committed(records))
        told = RouteProof(packet=parcel.packet, records=records).encode().hex()
        context.emit(about("xroute_forward", parcel, packet=parcel.packet.encode().hex(), forwarded=told))
        return DONE


def _require_here(parcel: Parcel, own: ChainIdentity) -> None:
    if own != parcel.destination:
        raise RouteRejected(Check.NAME, f"a message to {parcel.destination.hex()}", f"one to {own.hex()}, this chain")
