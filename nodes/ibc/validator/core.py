"""One validator of a chain: from what all validators said, in one order, to blocks, and what it says itself.

Block h + 1 is cut out of the order where block h has its commit, and validators with more than a third of the power, so
an honest one among them, have said that it is due (for the first one two thirds). It holds the transactions ordered so
far that pass the checks. The commit for a block is the votes ordered up to where they exceed two thirds of the power.

Invariant: blocks, their times and their commits follow from the order alone, so they are equal at all validators. The
vote of this one is on disk before anybody hears of it, and it never signs a height again, nor a lower one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from math import inf

from emulator.model.errors import DataError
from emulator.sdk.disk import Disk, Record
from nodes.ibc.chain.blocks import Block
from nodes.ibc.chain.chain import LEAST_STEP_NS, Chain
from nodes.ibc.chain.ledger import Entry
from nodes.ibc.chain.mempool import Mempool, MempoolRefusal
from nodes.ibc.chain.pace import Pace
from nodes.ibc.chain.results import TxResult
from nodes.ibc.chain.transactions import read
from nodes.ibc.comet.bft_time import weighted_median
from nodes.ibc.comet.commits import SignatureCache
from nodes.ibc.core.errors import AbciError
from nodes.ibc.proto.comet import SignedMsgType, Vote
from nodes.ibc.proto.scalars import WireError
from nodes.ibc.proto.well_known import Timestamp
from nodes.ibc.validator.items import Due, Item
from nodes.ibc.validator.tally import Tally, signed_bytes

__all__ = ["TABLE", "Effects", "Said", "ValidatorCore"]

TABLE = "precommit"  # the newest vote of this validator, under the key NEWEST
NEWEST = b"newest"
MOST_WAIT_BLOCKS = 20  # of an ordered transaction for one that must come before it
Said = tuple[int, bytes]  # a validator's place, and an item of it


@dataclass(slots=True)
class Effects:
    """What is to be done: `persist` before `order`."""

    persist: list[Record] = field(default_factory=list)
    order: list[bytes] = field(default_factory=list)  # items to put into the order
    entries: list[Entry] = field(default_factory=list)  # blocks with their commits, new ones
    accused: list[Vote] = field(default_factory=list)  # for another block than this height has

    def __bool__(self) -> bool:
        return bool(self.persist or self.order or self.entries or self.accused)


class ValidatorCore:
    """The validator of a `place` among the chain's powers; the chain has no block yet, the order begins with its first.

    `clock_ns` gives the time of day as this validator's clock has it.
    """

    def __init__(
        self, chain: Chain, place: int, disk: Disk, pace: Pace, clock_ns: Callable[[], int], now_s: float
    ) -> None:
        self.chain = chain
        self.effects = Effects()
        self.refused: Counter[str] = Counter()  # ordered items that changed nothing, by reason
        self._place = place
        self._pace = pace
        self._clock_ns = clock_ns
        self._powers = chain.committee.powers
        limits, n = chain.limits, len(self._powers)
        # Ordered transactions that are in no block. Each validator has its share of the room: a liar fills no other's.
        self._ordered = Mempool(n * limits.mempool_txs, n * limits.mempool_bytes, limits.tx_bytes)
        self._came: dict[bytes, tuple[int, int]] = {}  # by transaction: blocks there were then, and who said it
        self._shares: Counter[int] = Counter()  # of transactions in `_ordered`, by validator …
        self._share_bytes: Counter[int] = Counter()  # … and of their bytes
        self._cache = SignatureCache()
        self._tally: Tally | None = None  # of the block that was cut and has no commit
        self._dues: dict[int, int] = {}  # by validator that waits for the block to be cut next: its clock
        kept = disk.get(TABLE, NEWEST)
        self._vote = Vote() if kept is None else Vote.decode(kept)  # the newest
        self._voted = 0  # height of the last vote that was put into the order in this life
        self._asked = 0  # height of the last block for which this validator said that it is due
        self._due_s = pace.next_s(now_s - pace.block_s)

    # Inputs

    def submit(self, data: bytes) -> TxResult:
        """Check a transaction; where the code is 0 it is ordered. MempoolRefusal where there is no room."""
        result = self.chain.submit(data)
        if not result.code:
            self._say(Item(tx=data))
        return result

    def on_ordered(self, commits: Iterable[Sequence[Said]], now_s: float) -> None:
        """What validators said, in the order; blocks are cut and committed only between two commits of the order."""
        for said in commits:
            for validator, data in said:
                if reason := self._enter(validator, data):
                    self.refused[reason] += 1
            while self._committed() or self._cut():
                pass
        self.tick(now_s)

    def tick(self, now_s: float) -> None:
        """Say what is to be said now."""
        if self._tally is not None:
            self._sign(self._tally)
        if self._asked < self._next and now_s >= self._due_s:
            self._asked = self._next
            self._due_s = self._pace.next_s(max(self._due_s, now_s - self._pace.block_s))
            self._say(Item(due=Due(self._next, Timestamp.of_ns(self._clock_ns()))))

    # Outputs

    def take(self) -> Effects:
        """The effects since the last call."""
        effects, self.effects = self.effects, Effects()
        return effects

    def next_deadline_s(self) -> float:
        """When to call `tick` at the latest."""
        return self._due_s if self._asked < self._next else inf

    @property
    def _next(self) -> int:
        """Height of the block to be cut next."""
        return self.chain.height + (1 if self._tally is None else 2)

    # The order

    def _enter(self, validator: int, data: bytes) -> str:
        """Take in what a validator said; "" or why it changes nothing."""
        try:
            item = Item.decode(data)
        except WireError:
            return "malformed"
        if item.tx is not None:
            return self._enter_tx(validator, item.tx)
        if item.vote is not None:
            return self._enter_vote(item.vote)
        if item.due is not None:
            return self._enter_due(validator, item.due)
        return "malformed"

    def _enter_tx(self, validator: int, data: bytes) -> str:
        count, size, limits = self._shares[validator], self._share_bytes[validator], self.chain.limits
        if count >= limits.mempool_txs or size + len(data) > limits.mempool_bytes:
            return "no room"
        try:
            gas = read(data).gas_wanted
            self._ordered.require_room(data)
        except (AbciError, MempoolRefusal):
            return "transaction"
        self._ordered.add(data, gas)
        self._came[data] = self.chain.height, validator
        self._shares[validator] += 1
        self._share_bytes[validator] += len(data)
        return ""

    def _enter_vote(self, vote: Vote) -> str:
        if self._tally is None:
            return "late"  # the others' votes were enough
        reason = self._tally.add(vote)
        if reason == "other block":
            self.effects.accused.append(vote)
        return reason

    def _enter_due(self, validator: int, due: Due) -> str:
        if due.height != self._next:
            return "late" if due.height < self._next else "misplaced"
        self._dues.setdefault(validator, due.time.ns)
        return ""

    def _cut(self) -> bool:
        """Make the next block, if it is due; whether it was."""
        power = sum(self._powers[validator] for validator in self._dues)
        first = not self.chain.height
        if self._tally is not None or 3 * power <= (2 if first else 1) * sum(self._powers):
            return False
        if first:  # with clocks of two thirds the median is between those of honest validators
            clocks = ((time_ns, self._powers[validator]) for validator, time_ns in self._dues.items())
            self.chain.genesis_time_ns = weighted_median(clocks)
        self._dues = {}
        block = self.chain.proposal(self._ordered, checked=False)
        validators = self.chain.committee.at(block.height)
        self._tally = Tally(self.chain.app.chain_id, block, validators, self._cache)
        return True

    def _committed(self) -> bool:
        """Execute the block that was cut, if it has its commit; whether it had."""
        if self._tally is None or (commit := self._tally.commit()) is None:
            return False
        entry = self.chain.execute(self._tally.block, commit)
        oldest = entry.block.height - MOST_WAIT_BLOCKS
        self._ordered.committed(entry.block.txs, lambda data: self._came[data][0] > oldest)
        self._came = {data: self._came[data] for data in self._ordered}
        self._shares = Counter(validator for _, validator in self._came.values())
        self._share_bytes = Counter()
        for data, (_, validator) in self._came.items():
            self._share_bytes[validator] += len(data)
        self._tally = None
        self.effects.entries.append(entry)
        return True

    # What this validator says

    def _say(self, item: Item) -> None:
        self.effects.order.append(item.encode())

    def _sign(self, tally: Tally) -> None:
        """Vote for a block: once, and after a restart the same vote again if it is not in the order yet."""
        block = tally.block
        if self._voted >= block.height or self._vote.height > block.height:
            return
        if self._vote.height < block.height:
            self._vote = self._signed(block)
            self.effects.persist.append(Record(TABLE, NEWEST, self._vote.encode()))
        elif self._vote.block_id != block.id:
            raise DataError(
                f"block {block.height} of {self.chain.app.chain_id} is {block.id.hash.hex()} now, and this validator "
                f"has signed {self._vote.block_id.hash.hex()}: it would sign two. Restore the node's store"
            )
        self._voted = block.height
        if self._vote.validator_address not in tally:
            self._say(Item(vote=self._vote))

    def _signed(self, block: Block) -> Vote:
        committee = self.chain.committee
        key = committee.key(block.height, self._place)
        addresses = [each.address for each in committee.at(block.height).validators]
        vote = Vote(
            type=SignedMsgType.PRECOMMIT,
            height=block.height,
            block_id=block.id,
            timestamp=Timestamp.of_ns(max(self._clock_ns(), block.time_ns + LEAST_STEP_NS)),
            validator_address=key.address,
            validator_index=addresses.index(key.address),
        )
        return replace(vote, signature=key.sign(signed_bytes(self.chain.app.chain_id, vote)))
