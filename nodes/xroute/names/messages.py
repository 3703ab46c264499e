"""Messages that write to a registry, and that bind a chain's clients to chain identities.

Records travel as bytes, so that what an owner has signed is what is stored.
"""

from __future__ import annotations

from nodes.ibc.proto.comet import Header, LightBlock
from nodes.ibc.proto.wire import Message, message, octets, optional, repeated, string, uint64

__all__ = ["Lease", "MsgBindClient", "MsgCommit", "MsgReveal", "MsgUpdate"]


@message("skyloom.xname.v1.MsgCommit")
class MsgCommit(Message):
    """Announce that a name will be registered, without telling which."""

    commitment: bytes = octets(1)  # `registry.commitment(name, salt, owner)`
    signer: str = string(2)


@message("skyloom.xname.v1.MsgCommitResponse")
class MsgCommitResponse(Message):
    """Nothing."""


@message("skyloom.xname.v1.MsgReveal")
class MsgReveal(Message):
    """Register a name that was committed to. The signer pays the deposit, and gets it back in the end."""

    record: bytes = octets(1)
    salt: bytes = octets(2)
    signature: bytes = octets(3)  # of the owner
    parent_signature: bytes = octets(4)  # of the owner of the name above, where that is not open
    signer: str = string(5)


@message("skyloom.xname.v1.MsgRevealResponse")
class MsgRevealResponse(Message):
    """Nothing."""


@message("skyloom.xname.v1.MsgUpdate")
class MsgUpdate(Message):
    """The next version of a record: also a transfer (another owner) and a revocation (a flag)."""

    record: bytes = octets(1)
    signature: bytes = octets(2)  # of the owner until now
    signer: str = string(3)


@message("skyloom.xname.v1.MsgUpdateResponse")
class MsgUpdateResponse(Message):
    """Nothing."""


@message("skyloom.xname.v1.MsgBindClient")
class MsgBindClient(Message):
    """Show that a client tracks the chain of an identity, by headers that join its states with the first one."""

    client_id: str = string(1)
    anchor: Header | None = optional(2, Header)
    newest: LightBlock | None = optional(3, LightBlock)
    between: tuple[Header, ...] = repeated(4, Header)  # from before the newest to after the anchor
    signer: str = string(5)
    changes: tuple[LightBlock, ...] = repeated(6, LightBlock)  # those between after which validators change


@message("skyloom.xname.v1.MsgBindClientResponse")
class MsgBindClientResponse(Message):
    """The identity that the client is bound to."""

    identity: bytes = octets(1)


@message("skyloom.xname.v1.Lease")
class Lease(Message):
    """What a registry keeps of a name beside its record, also when the name is free again."""

    seq: int = uint64(1)  # of the last version
    holder: str = string(2)  # the account that paid the deposit
    deposit: int = uint64(3)  # that is still held
