"""Links and stores of a validator: those of the SDK with this protocol's codec, identities and tables.

Invariant: every process derives the certificates of all validators from the run's seed, so both ends of a link trust
the same certificates.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

from emulator.sdk.node import NodeContext
from emulator.sdk.store import Store
from emulator.sdk.transport.config import LinkConfig
from emulator.sdk.transport.inside import Exchange
from emulator.sdk.transport.local import Sockets
from emulator.sdk.transport.mesh import Mesh
from emulator.sdk.transport.trust import certificate_of
from nodes.dagbft.identity import Identity
from nodes.dagbft.messages import CODEC, Message

Near = Sockets[Message] | Exchange[Message]  # how a program reaches the other programs of its validator
REMEDY = (
    "Restore it from a copy, or delete the folder: the validator then starts without memory and takes part again once "
    "it has learnt which rounds it may have voted in."
)


def sockets() -> Near:
    """Links to programs in other processes of the node."""
    return Sockets(CODEC)


def validator_mesh(
    context: NodeContext,
    identity: Identity,
    validators: Sequence[str],
    on_message: Callable[[int, Message], None],
    *,
    service: str,
    port: int,
    config: LinkConfig | None = None,
    accepts: Collection[type[Any]] | None = None,
    ports: Sequence[int] | None = None,
) -> Mesh[Message]:
    """A link to each other validator's process of this service; a peer's key is its number in the committee."""
    certificates = {name: certificate_of(Identity.of(context.seed, name)) for name in validators}
    return Mesh(
        context, CODEC, on_message, identity=identity, certificates=certificates, service=service, port=port,
        config=config, accepts=accepts, ports=ports,
    )  # fmt: skip


def open_store(context: NodeContext, tables: Sequence[str], durability: str) -> Store:
    """The store of this program. DataError if it is damaged."""
    return Store(context.store / f"{context.program}.store", tables, sync=durability == "disk", remedy=REMEDY)
