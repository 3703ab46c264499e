"""Which messages a chain lets pass over it: published in its own store, so that others honour it by proof.

Invariant: a chain that has published nothing lets everything pass.
"""

from __future__ import annotations

from enum import IntEnum

from nodes.ibc.proto.wire import Message, enum, message, repeated
from nodes.xroute.identity import ChainIdentity

__all__ = ["TransitPolicy", "TransitRule"]


class TransitRule(IntEnum):
    """What `chains` of a transit policy are."""

    ALLOW = 0  # of no meaning
    DENY = 1
    ONLY_TO = 2  # the only destinations of messages that may pass
    ONLY_FROM = 3  # their only sources


@message("skyloom.xroute.v1.TransitPolicy")
class TransitPolicy(Message):
    """A chain's rule for messages of others."""

    rule: TransitRule = enum(1, TransitRule)
    chains: tuple[bytes, ...] = repeated(2, bytes)  # identities

    def allows(self, source: ChainIdentity, destination: ChainIdentity) -> bool:
        """Whether a message between two chains may pass; answers go back the way of their message."""
        match self.rule:
            case TransitRule.ALLOW:
                return True
            case TransitRule.DENY:
                return False
            case TransitRule.ONLY_TO:
                return destination in self.chains
            case TransitRule.ONLY_FROM:
                return source in self.chains
