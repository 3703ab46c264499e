"""What relayers are paid for: a sender puts the most that it can cost into escrow, and gets the rest back.

Invariant: the account `ESCROW` holds what the escrows of messages that are not settled add up to, and nothing else;
each escrow is paid out once.

The relayers with a stake are ranked for each message, by a hash that nobody knew when it was sent. In the first window
the first of them alone earns the delivery, in the second one the second; then whoever delivers does. Who delivers out
of turn delivers all the same, and is not paid. What a delivery earns falls with every window.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from hashlib import sha256

from nodes.ibc.chain.keys import ADDRESS_BYTES, module_address
from nodes.ibc.core.keepers import Bank
from nodes.ibc.core.state import Context
from nodes.xroute.module.book import Escrow, Stake
from nodes.xroute.module.errors import INVALID_MESSAGE
from nodes.xroute.module.messages import Answer, Fee
from nodes.xroute.proofs.messages import MOST_HOPS

__all__ = ["ESCROW", "RANKED", "acknowledged", "earned", "most", "ranked", "take", "timed_out"]

ESCROW = module_address("xroute-fees")
RANKED = 2  # relayers with a window of their own
_MOST_AMOUNT = (1 << 63) - 1
_KEPT_PERCENT = 95  # of the fee for delivery, from one window to the next
_MOST_WINDOWS = 64  # after which it falls no further


def _check(fee: Fee) -> None:
    """AbciError for a fee that could not be paid out."""
    if fee.updates > MOST_HOPS or max(fee.deliver, fee.acknowledge, fee.timeout, fee.update) > _MOST_AMOUNT:
        raise INVALID_MESSAGE.error(f"a fee of more than {_MOST_AMOUNT}, or for more than {MOST_HOPS} updates")


def most(fee: Fee) -> int:
    """What a message can cost at most."""
    return max(fee.deliver + fee.acknowledge, fee.timeout) + fee.update * fee.updates


def take(context: Context, bank: Bank, escrow: Escrow) -> None:
    """Put the most that a message can cost into escrow. AbciError where the sender has less."""
    _check(escrow.fee)
    bank.send(context, escrow.payer, ESCROW, escrow.fee.denom, most(escrow.fee))


def ranked(stakes: Iterable[Stake], beacon: bytes, message_id: bytes) -> tuple[bytes, ...]:
    """The accounts that have the first windows of a message. A greater stake makes an early place more likely."""

    def place(stake: Stake) -> Fraction:
        drawn = sha256(b"xroute-rank-1" + beacon + message_id + stake.account).digest()
        return Fraction(int.from_bytes(drawn), stake.amount)

    return tuple(stake.account for stake in sorted(stakes, key=place)[:RANKED])


def acknowledged(
    context: Context, bank: Bank, escrow: Escrow, answer: Answer, acknowledger: bytes, window_ns: int
) -> None:
    """Pay who delivered, who brought the answer, and who updated clients; the sender gets the rest."""
    fee = escrow.fee
    payments = [(answer.payee, earned(escrow, answer, window_ns)), (acknowledger, fee.acknowledge)]
    payments += [(account, fee.update) for account in answer.updaters[: fee.updates]]
    _pay(context, bank, escrow, payments)


def timed_out(context: Context, bank: Bank, escrow: Escrow, relayer: bytes) -> None:
    """Pay who proved the timeout; the sender gets the rest."""
    _pay(context, bank, escrow, [(relayer, escrow.fee.timeout)])


def earned(escrow: Escrow, answer: Answer, window_ns: int) -> int:
    """What a delivery earns, by its time on the destination's clock."""
    window = max(0, answer.delivered_ns - escrow.sent_ns) // window_ns
    if window < len(escrow.ranked) and answer.payee != escrow.ranked[window]:
        return 0
    passed = min(window, _MOST_WINDOWS)
    return int(escrow.fee.deliver * _KEPT_PERCENT**passed // 100**passed)


def _pay(context: Context, bank: Bank, escrow: Escrow, payments: Iterable[tuple[bytes, int]]) -> None:
    left = most(escrow.fee)
    for account, amount in payments:
        if amount and len(account) == ADDRESS_BYTES and bank.may_receive(context, account):
            bank.send(context, ESCROW, account, escrow.fee.denom, amount)
            left -= amount
    if left:
        bank.send(context, ESCROW, escrow.payer, escrow.fee.denom, left)
