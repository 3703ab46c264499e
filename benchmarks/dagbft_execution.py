"""What a transaction costs the ledger: making its batch ready, and running it early and committed. A line a figure.

python -m benchmarks.dagbft_execution [ROUNDS]     by default 400 rounds of 4 blocks of 125 transactions of 512 bytes
"""

from __future__ import annotations

import sys
import time
from random import Random

from nodes.dagbft.consensus.committee import Committee
from nodes.dagbft.consensus.core import Commit, Consensus, Rules
from nodes.dagbft.consensus.dag import Block
from nodes.dagbft.execution.ledger import Ledger
from nodes.dagbft.execution.transactions import NOTHING, Code, Kind, Transaction, encode, key_of, prepare
from nodes.dagbft.field_types import batch_digest
from nodes.dagbft.wire import join_transactions

PER_BLOCK, SIZE_BYTES, KEYS = 125, 512, 10_000


def body(shard: int, first: int, random: Random) -> bytes:
    """A batch of alpha transactions."""
    transactions = []
    for number in range(first, first + PER_BLOCK):
        operations = ((int(Code.ADD), key_of(shard, random.randrange(KEYS)), 0, 1),)
        transaction = Transaction(int(Kind.ALPHA), 0, shard, number.to_bytes(16, "big"), NOTHING, 0, 1, 0, operations)
        data = encode(transaction)
        transactions.append(data + bytes(SIZE_BYTES - len(data)))
    return join_transactions(transactions)


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 400
    committee, random = Committee(4), Random(1)
    blocks = [Block(round, author, 0b1111 if round > 1 else 0) for round in range(1, rounds + 1) for author in range(4)]
    bodies = [
        body(committee.shard(block.author, block.round), number * PER_BLOCK, random)
        for number, block in enumerate(blocks)
    ]
    digests = [batch_digest(each) for each in bodies]
    count = len(blocks) * PER_BLOCK
    begun = time.process_time()
    for each in bodies:
        prepare(each)
    print(f"making a batch ready          {(time.process_time() - begun) / count * 1e6:8.2f} us a transaction")
    consensus = Consensus(committee, Rules("psync"))
    ledger = Ledger(committee, 0, 50, consensus.early, consensus.dag)  # type: ignore[arg-type]
    took_s = replies = commits = 0.0
    for block, digest, each in zip(blocks, digests, bodies, strict=True):
        events = consensus.add(block)
        commits += sum(isinstance(event, Commit) for event in events)
        begun = time.process_time()
        ledger.on_batch(digest, each)
        ledger.on_block(block, (digest,))
        replies += sum(len(reply.results) for reply in ledger.on_events(events))
        took_s += time.process_time() - begun
    print(f"ready, early, committed       {took_s / count * 1e6:8.2f} us a transaction, own replies included")
    print(f"{ledger.counts}, {commits:.0f} commits, {replies:.0f} results to clients")


if __name__ == "__main__":
    main()
