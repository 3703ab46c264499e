"""Messages that leave: committed to once, and settled once, by an answer or by a timeout that a route proves.

Invariant: of each sequence the commitment stands until the application has heard how the message ended, exactly once;
the commitment, and where it lies, are those of a packet of IBC v2.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256

from nodes.ibc.chain.bank import Bank
from nodes.ibc.core import paths as ibc_paths
from nodes.ibc.core.commitments import UNIVERSAL_ERROR, packet_commitment_v2
from nodes.ibc.core.keepers import PayloadApplication
from nodes.ibc.core.packets_v2 import LONGEST_TIMEOUT_S, MOST_PAYLOAD_BYTES
from nodes.ibc.core.state import Context, read_number, write_number
from nodes.ibc.proto.channel_v2 import Acknowledgement
from nodes.xroute import gas
from nodes.xroute.identity import IDENTITY_BYTES, SOURCE_CLIENT
from nodes.xroute.module import book, fees, policies
from nodes.xroute.module.book import Escrow, Sent
from nodes.xroute.module.errors import (
    INVALID_MESSAGE,
    INVALID_POLICY,
    NOT_SENT,
    TIMEOUT_NOT_REACHED,
    UNKNOWN_PORT,
    WRONG_ANSWER,
)
from nodes.xroute.module.events import about, answered
from nodes.xroute.module.incoming import DONE, NOTHING_DONE
from nodes.xroute.module.messages import (
    Answer,
    MsgAcknowledge,
    MsgRelayResponse,
    MsgSend,
    MsgSendResponse,
    MsgTimeout,
)
from nodes.xroute.module.terms import Terms
from nodes.xroute.policy.clauses import Policy
from nodes.xroute.policy.terms import PolicyError
from nodes.xroute.proofs.messages import Envelope, Mode, RouteProof
from nodes.xroute.proofs.parcel import Parcel, packed
from nodes.xroute.proofs.rejection import Check, RouteRejected
from nodes.xroute.proofs.verify import Demand, Verified, decoded, own_identity, verify_route

__all__ = ["Outgoing"]

_NS = 10**9


@dataclass(frozen=True, slots=True)
class Outgoing:
    """Handlers of what leaves, and of what comes back. `applications` are by port."""

    applications: Mapping[str, PayloadApplication]
    bank: Bank
    terms: Terms

    def send(self, context: Context, message: MsgSend) -> MsgSendResponse:
        """Commit to a message. AbciError where it could never arrive."""
        sequence = read_number(context.ibc, ibc_paths.next_sequence_send_v2(SOURCE_CLIENT), 1)
        if len(message.destination) != IDENTITY_BYTES or len(message.payload.value) > MOST_PAYLOAD_BYTES:
            raise INVALID_MESSAGE.error(f"a destination that is no identity, or above {MOST_PAYLOAD_BYTES} bytes")
        try:
            policies.paid_policy(context, message.policy)
        except PolicyError as error:
            raise INVALID_POLICY.error(str(error)) from None
        envelope = Envelope(
            own_identity(context), message.destination, message.destination_name, sha256(message.policy).digest(),
            message.mode, message.payload, message.transits, message.threshold,
        )  # fmt: skip
        parcel = Parcel.of(packed(sequence, envelope, message.timeout_timestamp))
        if not context.time_s < message.timeout_timestamp <= context.time_s + LONGEST_TIMEOUT_S:
            raise INVALID_MESSAGE.error(f"timeout {message.timeout_timestamp} s; expected one within 24 h")
        write_number(context.ibc, ibc_paths.next_sequence_send_v2(SOURCE_CLIENT), sequence + 1)
        context.ibc.set(parcel.commitment_key, packet_commitment_v2(parcel.packet))
        self._keep(context, parcel, message)
        application = self._application(message.payload.source_port)
        application.send_payload(context, parcel.route, message.payload, message.signer)
        packet, fee = parcel.packet.encode().hex(), message.fee.encode().hex() if message.fee else ""
        context.emit(about("xroute_send", parcel, packet=packet, policy=message.policy.hex(), fee=fee))
        return MsgSendResponse(sequence)

    def _keep(self, context: Context, parcel: Parcel, message: MsgSend) -> None:
        """Keep the policy, and take the fee."""
        escrow = None
        if message.fee is not None and fees.most(message.fee):
            payer = self.bank.account(message.signer)
            escrow = Escrow(payer, message.fee, context.time_ns)
            fees.take(context, self.bank, escrow)
            context.spend(gas.RANKING)
            book.store_of(context).set(book.unranked(parcel.packet.sequence), b"\x01")
        book.write(context, book.sent(parcel.packet.sequence), Sent(parcel.id, message.policy, escrow))

    def acknowledge(self, context: Context, message: MsgAcknowledge) -> MsgRelayResponse:
        """The answer, as a route back to the destination, or in mode HOP to the next chain, proves it."""
        proof = decoded(message.proof)
        parcel = Parcel.of(proof.packet)
        if parcel.envelope.mode is Mode.HOP and own_identity(context) != parcel.source:
            return self._pass_back(context, proof, parcel, message.answer)
        sent = self._unsettled(context, parcel)
        if sent is None:
            return NOTHING_DONE
        answers = message.answer.acknowledgement.app_acknowledgements
        if len(answers) != 1:
            raise WRONG_ANSWER.error(f"{len(answers)} answers to one payload")
        self._verify(context, proof, parcel, sent, parcel.acknowledgement_key, message.answer.commitment)
        self._settle(context, parcel)
        if sent.escrow is not None:
            signer = self.bank.account(message.signer)
            fees.acknowledged(context, self.bank, sent.escrow, message.answer, signer, self.terms.window_ns)
        payload = parcel.envelope.payload
        application = self._application(payload.source_port)
        application.acknowledge_payload(context, parcel.route, payload, answers[0], message.signer)
        context.emit(about("xroute_acknowledge", parcel))
        return DONE

    def timeout(self, context: Context, message: MsgTimeout) -> MsgRelayResponse:
        """The end of a message that has not arrived in time, and cannot any more."""
        proof = decoded(message.proof)
        parcel = Parcel.of(proof.packet)
        if parcel.envelope.mode is Mode.HOP and own_identity(context) != parcel.source:
            return self._pass_back(context, proof, parcel, None)
        sent = self._unsettled(context, parcel)
        if sent is None:
            return NOTHING_DONE
        verified = self._verify(context, proof, parcel, sent, parcel.receipt_key, None)
        _require_late(verified, parcel)
        self._settle(context, parcel)
        if sent.escrow is not None:
            fees.timed_out(context, self.bank, sent.escrow, self.bank.account(message.signer))
        payload = parcel.envelope.payload
        application = self._application(payload.source_port)
        application.timeout_payload(context, parcel.route, payload, message.signer)
        context.emit(about("xroute_timeout", parcel))
        return DONE

    def _unsettled(self, context: Context, parcel: Parcel) -> Sent | None:
        """What is kept of a message of this chain; None where it is settled already."""
        sequence = parcel.packet.sequence
        committed = context.ibc.get(parcel.commitment_key)
        if committed is None and sequence < read_number(context.ibc, ibc_paths.next_sequence_send_v2(SOURCE_CLIENT), 1):
            return None
        if committed != packet_commitment_v2(parcel.packet):
            raise NOT_SENT.error(f"message {sequence}")
        return book.read(context, book.sent(sequence), Sent)

    def _verify(
        self, context: Context, proof: RouteProof, parcel: Parcel, sent: Sent, key: bytes, value: bytes | None
    ) -> Verified:
        """Verify the way back. In mode HOP it is one hop of a way that the sender chose, which no policy judges."""
        if parcel.envelope.mode is Mode.HOP:
            return self._verify_neighbour(context, proof, parcel, key, value)
        policy = policies.reversed_policy(policies.without_modes(policies.paid_policy(context, sent.policy)))
        demand = Demand.of(parcel, parcel.destination, key, value, policy)
        verified = verify_route(context, proof, demand, self.terms.names)
        book.keep_powers(context, verified)
        return verified

    def _verify_neighbour(
        self, context: Context, proof: RouteProof, parcel: Parcel, key: bytes, value: bytes | None
    ) -> Verified:
        if len(proof.hops) != 1:
            raise RouteRejected(Check.HOP, f"{len(proof.hops)} hops in mode hop", "1")
        following = parcel.way[parcel.way.index(own_identity(context)) + 1]
        demand = Demand.of(parcel, following, key, value, Policy())
        verified = verify_route(context, proof, demand, self.terms.names)
        book.keep_powers(context, verified)
        return verified

    def _pass_back(
        self, context: Context, proof: RouteProof, parcel: Parcel, answer: Answer | None
    ) -> MsgRelayResponse:
        """As a transit of mode HOP: commit to what the next chain answers, or to an error where it never got it."""
        if context.ibc.get(parcel.receipt_key) != parcel.id:
            raise NOT_SENT.error(f"message {parcel.packet.sequence}")
        if context.ibc.get(parcel.acknowledgement_key) is not None:
            return NOTHING_DONE
        if answer is None:
            verified = self._verify_neighbour(context, proof, parcel, parcel.receipt_key, None)
            _require_late(verified, parcel)
            answer = Answer(Acknowledgement((UNIVERSAL_ERROR,)), delivered_ns=context.time_ns)
        else:
            self._verify_neighbour(context, proof, parcel, parcel.acknowledgement_key, answer.commitment)
        context.ibc.set(parcel.acknowledgement_key, answer.commitment)
        context.ibc.delete(parcel.forward_key)
        context.emit(answered(parcel, answer))
        return DONE

    def _settle(self, context: Context, parcel: Parcel) -> None:
        context.ibc.delete(parcel.commitment_key)
        book.delete(context, book.sent(parcel.packet.sequence))
        book.delete(context, book.unranked(parcel.packet.sequence))

    def _application(self, port: str) -> PayloadApplication:
        application = self.applications.get(port)
        if application is None:
            raise UNKNOWN_PORT.error(f"port {port!r}; expected one of {sorted(self.applications)}")
        return application


def _require_late(verified: Verified, parcel: Parcel) -> None:
    seen_s = verified.far_time_ns // _NS
    if seen_s < parcel.packet.timeout_timestamp:
        raise TIMEOUT_NOT_REACHED.error(f"proof at {seen_s} s, timeout {parcel.packet.timeout_timestamp} s")
