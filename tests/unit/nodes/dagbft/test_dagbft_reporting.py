"""What a primary tells its clients."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from nodes.dagbft.consensus.core import Commit
from nodes.dagbft.consensus.dag import Block
from nodes.dagbft.consensus.early import Early
from nodes.dagbft.field_types import Cause
from nodes.dagbft.messages import FinalReply, SpecReply
from nodes.dagbft.primary.effects import Effects
from nodes.dagbft.primary.phases import Phases
from nodes.dagbft.primary.reporting import Subscriptions


def id_of(client: int, number: int) -> bytes:
    return client.to_bytes(8, "big") + number.to_bytes(8, "big")


def test_final_results_go_to_whom_they_concern_only() -> None:
    clients = Subscriptions()
    clients.subscribe(1, "one")
    clients.subscribe(2, "two")
    results = ((id_of(1, 7), b"a" * 32), (id_of(3, 7), b"b" * 32), (id_of(1, 8), b"c" * 32))
    told = list(clients.replies([FinalReply(5, 0, Cause.EARLY, results)]))
    assert told == [("one", FinalReply(5, 0, Cause.EARLY, (results[0], results[2])))]


def test_everybody_hears_of_an_own_header() -> None:
    """With results or without: clients aim at the shard of the header to come."""
    clients = Subscriptions()
    clients.subscribe(1, "one")
    clients.subscribe(2, "two")
    results = ((id_of(2, 7), b"a" * 32),)
    told = dict(clients.replies([SpecReply(5, 0, results)]))
    assert told == {"one": SpecReply(5, 0, ()), "two": SpecReply(5, 0, results)}


def test_phases_of_own_blocks_are_told_once() -> None:
    phases = Phases(SimpleNamespace(me=1), lambda: 10)  # type: ignore[arg-type]
    header: Any = SimpleNamespace(round=7)
    assert list(phases.note(Effects(made=[header]), 1.0)) == []
    blocks = [Block(7, 0, 0), Block(7, 1, 0)]
    assert list(phases.note(Effects(blocks=blocks), 1.25)) == [("certificate_s", 0.25)]
    early = [Early((7, 1), 0, 0, None), Early((7, 0), 0, 0, None)]
    assert list(phases.note(Effects(events=early), 1.5)) == [("block_early_s", 0.5)]
    commit = Commit(0, (8, 0), "steady", ((6, 1), (7, 1), (8, 0)))
    assert list(phases.note(Effects(events=[commit]), 2.0)) == [("block_commit_s", 1.0)]
    assert list(phases.note(Effects(events=[commit]), 3.0)) == []


def test_what_waits_is_told_once_a_second() -> None:
    core: Any = SimpleNamespace(
        voting=SimpleNamespace(suspended="ab"), blocks=SimpleNamespace(suspended=1),
        payload=SimpleNamespace(all_waiting=3),
        delivery="",
    )  # fmt: skip
    phases = Phases(core, lambda: 10)
    told = [
        ("parked_headers", 2.0), ("parked_blocks", 1.0), ("waiting_batches", 3.0), ("unplayed_events", 0.0),
        ("unsent_bytes", 10.0),
    ]  # fmt: skip
    assert [list(phases.waiting(now_s)) for now_s in (0.5, 1.4, 1.5)] == [told, [], told]
