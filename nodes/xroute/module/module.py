"""The module `xroute` of a chain, as its application sees it: messages, the beginning of blocks, the genesis.

Invariant: whatever is refused is an AbciError, and changes nothing. The chain's identity has its first header as
anchor, and is there from the second block on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TypeVar

from nodes.ibc.chain.bank import Bank
from nodes.ibc.client.states import ClientStates
from nodes.ibc.client.tendermint import NEVER
from nodes.ibc.core.events import module
from nodes.ibc.core.keepers import PayloadApplication
from nodes.ibc.core.router import Router
from nodes.ibc.core.state import Context
from nodes.ibc.core.transfer import PORT as TRANSFER
from nodes.ibc.proto.ibc import Height, MsgRecoverClient, MsgSubmitMisbehaviour, MsgUpdateClient
from nodes.ibc.proto.wire import Message
from nodes.xroute import gas
from nodes.xroute.handlers import Handlers
from nodes.xroute.identity import ANCHOR_HEIGHT, identity
from nodes.xroute.module import book, fees, messages
from nodes.xroute.module.book import Sent
from nodes.xroute.module.errors import UNAUTHORIZED, rejection
from nodes.xroute.module.incoming import Incoming
from nodes.xroute.module.model import Model
from nodes.xroute.module.outgoing import Outgoing
from nodes.xroute.module.quorum import Quorum
from nodes.xroute.module.stake import STAKES, Stakes
from nodes.xroute.module.terms import Terms
from nodes.xroute.names.binding import bound
from nodes.xroute.names.labels import STORE as NAMES
from nodes.xroute.proofs import paths
from nodes.xroute.proofs.rejection import RouteRejected

__all__ = ["Xroute", "XrouteModule"]

MOST_RANKED = 64  # messages of a block
MOST_DROPPED = 64  # records
RELAYED = (
    MsgUpdateClient,
    messages.MsgDeliver,
    messages.MsgAcknowledge,
    messages.MsgTimeout,
    messages.MsgDeliverByQuorum,
    messages.MsgRelease,
    messages.MsgDeliverByModel,
)
OF_CLIENTS = (MsgUpdateClient, MsgSubmitMisbehaviour, MsgRecoverClient)
M = TypeVar("M", bound=Message)


@dataclass(frozen=True, slots=True)
class Xroute:
    """Switches the module on (`nodes.ibc.chain.genesis.Extension`). It needs the module of names beside it."""

    terms: Terms = field(default_factory=Terms)
    applications: Mapping[str, PayloadApplication] | None = None  # beside transfers, by port
    store: str = paths.STORE
    accounts: frozenset[bytes] = frozenset({fees.ESCROW, STAKES})

    def module(self, router: Router, bank: Bank) -> XrouteModule:
        return XrouteModule(router, bank, self.terms, {**(self.applications or {}), TRANSFER: router.transfer})

    def begin(self, context: Context) -> None:
        if self.terms.transit.encode():  # an empty value could not be proved, and means what none does
            context.ibc.set(paths.TRANSIT, self.terms.transit.encode())


class XrouteModule(Handlers):
    """The messages of `messages` on a chain, and those of IBC about clients: who brought a height, who misbehaved."""

    def __init__(
        self, router: Router, bank: Bank, terms: Terms, applications: Mapping[str, PayloadApplication]
    ) -> None:
        self._router = router
        self._terms = terms
        self._bank = bank
        incoming, stakes = Incoming(applications, terms), Stakes(bank, terms)
        outgoing, quorum = Outgoing(applications, bank, terms), Quorum(incoming, stakes, terms)
        super().__init__(
            {
                MsgUpdateClient: self._update,
                MsgSubmitMisbehaviour: self._misbehave,
                MsgRecoverClient: self._recover,
                messages.MsgSend: outgoing.send,
                messages.MsgDeliver: incoming.deliver,
                messages.MsgAcknowledge: outgoing.acknowledge,
                messages.MsgTimeout: outgoing.timeout,
                messages.MsgDeliverByQuorum: quorum.announce,
                messages.MsgRelease: quorum.release,
                messages.MsgContradict: quorum.contradict,
                messages.MsgDeliverByModel: Model(incoming, terms).deliver,
                messages.MsgStake: stakes.stake,
                messages.MsgUnstake: stakes.unstake,
                messages.MsgSlash: stakes.slash,
                messages.MsgPublishTransit: self._publish,
            }
        )

    def deliver(self, context: Context, message: Message) -> Message:
        context.spend(gas.PROOF_BYTE * len(getattr(message, "proof", b"")))
        try:
            response = super().deliver(context, message)
        except RouteRejected as error:
            raise rejection(error) from None
        if not isinstance(message, OF_CLIENTS):
            context.emit(module(paths.STORE))
        return response

    def rehearse(self, context: Context, message: Message) -> Message | None:
        """All that `deliver` does: what applications do meanwhile is forgotten with the rest of a rehearsal."""
        return self.deliver(context, message) if isinstance(message, RELAYED) else None

    def redundant(self, done: Sequence[tuple[Message, Message]]) -> bool:
        """By the rule of IBC's own module, which sees these responses, too."""
        return False

    def begin_block(self, context: Context, last_block_hash: bytes) -> None:
        """Learn the chain's identity, rank relayers of messages by the last block's hash, and drop what had its time.

        Nobody pays for this work, so each block does a bounded part of it, in order; the rest waits for the next one.
        """
        if not last_block_hash:
            return
        store = book.store_of(context)
        if store.get(paths.SELF) is None:
            store.set(paths.SELF, identity(context.chain_id, ANCHOR_HEIGHT, last_block_hash))
        for key, _ in list(islice(store.iterate(book.UNRANKED), MOST_RANKED)):
            sequence = int.from_bytes(key.removeprefix(book.UNRANKED))
            sent = book.read(context, book.sent(sequence), Sent)
            if sent is not None and sent.escrow is not None:
                ranked = fees.ranked(book.stakes(context), last_block_hash, sent.message_id)
                book.write(context, book.sent(sequence), replace(sent, escrow=replace(sent.escrow, ranked=ranked)))
            store.delete(key)
        book.drop_ended(context, MOST_DROPPED)

    def _update(self, context: Context, message: MsgUpdateClient) -> Message:
        """Update a client, and remember who brought a height first: routes that need it pay for it."""
        outcome = self._router.deliver(context, message)
        for each in outcome.events:
            if each.type == "update_client":
                revision, _, number = each["consensus_height"].partition("-")
                height = Height(int(revision), int(number))
                processed = ClientStates(context.ibc, message.client_id).processed(height)
                is_new = processed is not None and processed.height == context.height
                key = paths.updater(message.client_id, height)
                if is_new and context.ibc.get(key) is None:
                    context.ibc.set(key, self._bank.account(message.signer))
            elif each.type == "client_misbehaviour":
                self._mark_misbehaviour(context, message.client_id)
        self._forget_updaters(context, message.client_id)
        return outcome.response

    def _misbehave(self, context: Context, message: MsgSubmitMisbehaviour) -> Message:
        response = self._router.deliver(context, message).response
        self._mark_misbehaviour(context, message.client_id)
        return response

    def _recover(self, context: Context, message: MsgRecoverClient) -> Message:
        response = self._router.deliver(context, message).response
        self._mark_misbehaviour(context, message.subject_client_id)
        return response

    def _mark_misbehaviour(self, context: Context, client: str) -> None:
        """Keep in mind while a client is frozen which chain it tracks: no route over that chain is believed."""
        tracked, state = bound(context.stores[NAMES], client), ClientStates(context.ibc, client).client_state
        if tracked is None or state is None:
            return
        key = paths.misbehaviour(tracked, client)
        if state.frozen_height == NEVER:
            book.store_of(context).delete(key)
        else:
            book.store_of(context).set(key, b"\x01")

    def _forget_updaters(self, context: Context, client: str) -> None:
        """Drop the oldest updaters, of heights that the client has forgotten: in each update it forgets one at most."""
        states = ClientStates(context.ibc, client)
        for key, _ in list(islice(context.ibc.iterate(paths.updaters(client)), 2)):
            if states.consensus_state(paths.updated_height(key)) is not None:
                return
            context.ibc.delete(key)

    def _publish(self, context: Context, message: messages.MsgPublishTransit) -> Message:
        if not self._terms.authority or message.signer != self._terms.authority:
            raise UNAUTHORIZED.error(f"expected {self._terms.authority or 'nobody'}, got {message.signer}")
        if message.policy.encode():
            context.ibc.set(paths.TRANSIT, message.policy.encode())
        else:
            context.ibc.delete(paths.TRANSIT)
        return messages.MsgEmptyResponse()
