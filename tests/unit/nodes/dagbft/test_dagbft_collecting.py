"""F1: what is kept of the DAG is a matter of memory alone: a chain that was hidden for longer forks nobody."""

from __future__ import annotations

from dataclasses import replace

import pytest
from dagbft_rows import ASYNC, Row

from emulator.model.errors import DataError
from nodes.dagbft.consensus.coin import SeededCoin
from nodes.dagbft.consensus.committee import Committee
from nodes.dagbft.consensus.core import Commit, Rules
from nodes.dagbft.consensus.dag import Block, Slot
from nodes.dagbft.consensus.run_file import feed, with_modes

X, A, D, B = range(4)


def hidden(attack: int) -> dict[Slot, Block]:
    """D rests on A, B and itself and is referenced by nobody up to `attack`; then it behaves."""
    found: dict[Slot, Block] = {}

    def put(round: int, author: int, *parents: int) -> None:
        found[round, author] = Block(round, author, sum(1 << each for each in parents) if round > 1 else 0)

    for round in range(1, attack + 1):
        put(round, D, A, D, B)
        for author in (X, A, B):
            put(round, author, X, A, B)
    for author in (A, D, B):
        put(attack + 1, author, A, D, B)
    put(attack + 1, X, X, A, B)
    put(attack + 2, A, A, D, B)
    put(attack + 2, D, A, D, B)
    put(attack + 2, B, X, D, B)
    put(attack + 2, X, X, D, B)
    for round in range(attack + 3, attack + 9):
        for author in range(4):
            put(round, author, X, A, D, B)
    return found


def order(blocks: list[Block], rules: Rules) -> list[Slot]:
    """What a validator commits that gets the blocks so, and refuses those at its floor or below."""
    committee = Committee(4)
    coin = SeededCoin(committee, 0)
    validator, _ = feed([], committee, rules, coin)
    found: list[Slot] = []
    for block in blocks:
        if block.round <= validator.dag.floor:
            continue
        events = validator.add(block)
        if value := coin.reveal(block):
            events += validator.coin(*value)
        found += [slot for event in events if isinstance(event, Commit) for slot in event.blocks]
    assert validator.check.wrong == 0
    return found


def views(attack: int, rules: Rules, *, certified: bool) -> tuple[list[Slot], list[Slot]]:
    """The orders of one that sees all in time, and of one that sees D's chain when it behaves."""
    blocks = [block for _, block in sorted(hidden(attack).items())]
    if certified:
        blocks = with_modes(blocks, Committee(4), rules, SeededCoin(Committee(4), 0))
    late = [block for block in blocks if block.author == D and block.round <= attack]
    early = [block for block in blocks if block.round <= attack and block.author != D]
    return order(blocks, rules), order(early + late + blocks[4 * attack :], rules)


@pytest.mark.parametrize("order_of", ["causal", "support-gated"])
@pytest.mark.parametrize("keep", [10, 24, 58, 1000])
@pytest.mark.parametrize("attack", range(53, 206, 8))
def test_a_chain_that_was_hidden_for_longer_than_what_is_kept_forks_nobody(attack, keep, order_of):
    rules = Rules(order=order_of, look_back=2 if keep < 58 else 50, keep=keep)
    one, other = views(attack, rules, certified=True)
    assert one == other
    assert len(one) > 3 * attack


def test_modes_that_are_read_from_what_is_kept_fork():
    """M1: what was done before, and is done still with blocks that say no mode."""
    rules = Rules(keep=58)
    assert any(one != other for one, other in (views(attack, rules, certified=False) for attack in range(61, 125, 8)))


def hiding(until: int) -> Row:
    """Whole primaries: 2 hides from 1, and shows its chain in the end (r1, with voting, fetching and storage)."""
    row = Row(4, {2: "hide"}, replace(ASYNC, rules=Rules(look_back=20, keep=30)), load_hz=0)
    row.start()
    row.liar(2).until = until
    while row.primary(0).proposer.round < until + 24 and row.run.clock.now_s < 60:
        row.go(0.5)
    return row


@pytest.mark.parametrize("until", [33, 37, 45, 53])
def test_a_liar_that_hides_its_chain_forks_nobody(until):
    """Whole primaries bear a hider, and each of them restarts afterwards.

    No evidence for the fix of F1: nobody has seen it red without the fix. The evidence is r1, above: DAGs whose order
    forks where they name no modes, and does not where they do.
    """
    row = hiding(until)
    row.verdict()
    assert row.liar(2).lies > until
    assert row.height() > until / 3
    for number in row.honest:  # F5: everybody comes back, whatever floors its certificates were stored at
        before = row.run.log(number)
        row.run.crash(number)
        row.run.restart(number)
        assert row.primary(number).archive.floor(row.primary(number).logged - 1) > 0
        row.go(1)
        assert row.run.log(number).startswith(before)
    row.go(3).verdict()


def test_a_store_whose_commits_are_not_those_of_its_certificates_is_refused():
    row = hiding(5)
    row.run.crash(0)
    table = row.run.validators[0]._disks[-1]._tables["commit"]
    last = max(table)
    table[last] = table[last][:-10] + table[last][-20:-10]  # another block in place of the last
    with pytest.raises(DataError, match="another commit"):
        row.run.restart(0)
