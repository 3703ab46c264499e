"""Events of the module `xroute`: what relayers and audits read. Each names its message and the chains at its ends."""

from __future__ import annotations

from nodes.ibc.core.events import Event, event
from nodes.xroute.module.messages import Answer
from nodes.xroute.proofs.parcel import Parcel

__all__ = ["about", "answered"]


def about(kind: str, parcel: Parcel, **more: object) -> Event:
    """An event of a message."""
    return event(
        kind,
        message=parcel.id.hex(),
        source=parcel.source.hex(),
        destination=parcel.destination.hex(),
        packet_sequence=parcel.packet.sequence,
        **more,
    )


def answered(parcel: Parcel, answer: Answer) -> Event:
    """That a chain has committed to an answer, with all that has to be brought back."""
    return about("xroute_answer", parcel, packet=parcel.packet.encode().hex(), answer=answer.encode().hex())
