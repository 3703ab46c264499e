"""Stakes of relayers, and what they lose for what can be proved on the chain itself.

Invariant: the account `STAKES` holds what all stakes add up to. A stake that wants to leave waits, and can be slashed
until it is paid out; it counts for nothing meanwhile. At most `MOST_STAKES` count, as a message with a fee ranks all:
beyond that a greater stake takes the place of the least one, so that many small ones keep nobody out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from nodes.ibc.chain.bank import Bank
from nodes.ibc.chain.keys import module_address
from nodes.ibc.core.events import event
from nodes.ibc.core.state import Context
from nodes.xroute import gas
from nodes.xroute.flooding.ads import AdvertisementError
from nodes.xroute.flooding.equivocation import origin_of_evidence
from nodes.xroute.keys import PUBLIC_BYTES
from nodes.xroute.module import book
from nodes.xroute.module.book import Stake
from nodes.xroute.module.errors import INVALID_EVIDENCE, INVALID_STAKE, NO_STAKE, TOO_EARLY
from nodes.xroute.module.messages import MsgEmptyResponse, MsgSlash, MsgStake, MsgUnstake
from nodes.xroute.module.terms import Terms

__all__ = ["MOST_STAKES", "STAKES", "Stakes"]

STAKES = module_address("xroute-stakes")
MOST_STAKES = 64
_REPORTED = 2  # the reporter gets one of so many parts of what is slashed; the rest is burned


@dataclass(frozen=True, slots=True)
class Stakes:
    """Handlers of messages about stakes."""

    bank: Bank
    terms: Terms

    def stake(self, context: Context, message: MsgStake) -> MsgEmptyResponse:
        account = self.bank.account(message.signer)
        held = book.stake_of(context, account) or Stake(account, message.key)
        amount = held.amount + message.amount
        if not message.amount or amount < self.terms.least_stake:
            raise INVALID_STAKE.error(
                f"a stake of {amount}; expected more than before, {self.terms.least_stake} at least"
            )
        other = book.stake_behind(context, message.key)
        if len(message.key) != PUBLIC_BYTES or message.key != held.key or (other and other.account != account):
            raise INVALID_STAKE.error(f"key {message.key.hex()!r}; expected one, and of no other relayer")
        if held.leaves_ns:
            raise INVALID_STAKE.error("a stake that leaves")
        if not held.amount:
            self._make_room(context, amount)
        self.bank.send(context, account, STAKES, self.terms.denom, message.amount)
        book.write_stake(context, replace(held, amount=amount))
        context.emit(event("xroute_stake", relayer=held.key.hex(), amount=amount))
        return MsgEmptyResponse()

    def unstake(self, context: Context, message: MsgUnstake) -> MsgEmptyResponse:
        account = self.bank.account(message.signer)
        held = book.stake_of(context, account)
        if held is None:
            raise NO_STAKE.error(message.signer)
        if not held.leaves_ns:
            self._leave(context, held)
        elif context.time_ns < held.leaves_ns:
            raise TOO_EARLY.error(f"{held.leaves_ns - context.time_ns} ns until the stake may leave")
        else:
            self.bank.send(context, STAKES, account, self.terms.denom, held.amount)
            book.delete_stake(context, held)
        return MsgEmptyResponse()

    def _make_room(self, context: Context, amount: int) -> None:
        """Let the least stake leave where there are as many as may be. AbciError where it is no less than `amount`."""
        held = list(book.stakes(context))
        if len(held) < MOST_STAKES:
            return
        least = min(held, key=lambda each: each.amount)
        if amount <= least.amount:
            raise INVALID_STAKE.error(
                f"a stake of {amount} beside {len(held)} greater ones; expected more than {least.amount}"
            )
        self._leave(context, least)

    def _leave(self, context: Context, held: Stake) -> None:
        """A stake counts for nothing from now on, and may be paid out later."""
        book.write_stake(context, replace(held, leaves_ns=context.time_ns + self.terms.leave_ns))
        context.emit(event("xroute_stake", relayer=held.key.hex(), amount=0))

    def slash(self, context: Context, message: MsgSlash) -> MsgEmptyResponse:
        """Take the whole stake of a relayer that is shown to have signed two versions of one advertisement."""
        context.spend(2 * gas.SIGNATURE)
        try:
            key = origin_of_evidence(message.evidence)
        except AdvertisementError as error:
            raise INVALID_EVIDENCE.error(str(error)) from None
        held = book.stake_behind(context, key)
        if held is None:
            raise NO_STAKE.error(f"relayer {key.hex()}")
        self.take(context, held, message.signer)
        return MsgEmptyResponse()

    def take(self, context: Context, held: Stake, reporter: str) -> None:
        """Slash all of a stake."""
        reward = held.amount // _REPORTED
        if reward:
            self.bank.send(context, STAKES, self.bank.account(reporter), self.terms.denom, reward)
        self.bank.burn(context, STAKES, self.terms.denom, held.amount - reward)
        book.delete_stake(context, held)
        context.emit(event("xroute_slash", relayer=held.key.hex(), amount=held.amount))
