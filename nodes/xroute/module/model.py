"""Mode ZK_MODEL: a model of delivery by a succinct proof. It proves nothing, and whoever shows it must say so.

Where a real system would verify a succinct proof that the source has committed to a message and a compliant route leads
there, a chain here compares an object of fixed size with what an oracle of the scenario, which knows a key, would give.
So the mode has the sizes and the steps of such a system. What making a proof takes, relayers wait for (`prove`).
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from hashlib import shake_256

from nodes.ibc.core.state import Context
from nodes.ibc.proto.wire import delimited
from nodes.xroute.module import policies
from nodes.xroute.module.errors import INVALID_MODEL
from nodes.xroute.module.incoming import DONE, NOTHING_DONE, Incoming
from nodes.xroute.module.messages import MsgDeliverByModel, MsgRelayResponse
from nodes.xroute.module.terms import Terms
from nodes.xroute.proofs.messages import Mode
from nodes.xroute.proofs.parcel import Parcel
from nodes.xroute.proofs.rejection import Check, RouteRejected
from nodes.xroute.proofs.verify import own_identity

__all__ = ["MODEL_BYTES", "Model", "model_object"]

MODEL_BYTES = 256  # about what a Groth16 proof with its public inputs has


def model_object(key: bytes, parcel: Parcel) -> bytes:
    """What the oracle gives for a message that it saw to be committed to."""
    return shake_256(b"xroute-model-1" + delimited(key) + parcel.id).digest(MODEL_BYTES)


@dataclass(frozen=True, slots=True)
class Model:
    """The handler of the mode."""

    incoming: Incoming
    terms: Terms

    def deliver(self, context: Context, message: MsgDeliverByModel) -> MsgRelayResponse:
        parcel = Parcel.of(message.packet)
        policy = self.incoming.judged(context, parcel, message.policy)
        if not self.incoming.is_new(context, parcel):
            return NOTHING_DONE
        if parcel.destination != own_identity(context):
            raise RouteRejected(Check.NAME, f"a message to {parcel.destination.hex()}", "one to this chain")
        if parcel.envelope.mode is not Mode.ZK_MODEL:
            raise RouteRejected(Check.CLAUSE, f"a model in mode {parcel.envelope.mode.word}", Mode.ZK_MODEL.word)
        policies.require_opt_in(parcel, policy, self.terms)
        expected = model_object(self.terms.model_key, parcel)
        if not self.terms.model_key or not hmac.compare_digest(message.model, expected):
            raise INVALID_MODEL.error(f"{len(message.model)} bytes; expected the oracle's {MODEL_BYTES}")
        policies.remember(context, parcel, message.policy)
        self.incoming.accept(context, parcel, message.payee, message.signer)
        return DONE
