"""What a primary tells its clients."""

from __future__ import annotations

from nodes.dagbft.messages import Cause, FinalReply, SpecReply
from nodes.dagbft.primary.telling import Clients


def id_of(client: int, number: int) -> bytes:
    return client.to_bytes(8, "big") + number.to_bytes(8, "big")


def test_final_results_go_to_whom_they_concern_only() -> None:
    clients = Clients()
    clients.subscribe(1, "one")
    clients.subscribe(2, "two")
    results = ((id_of(1, 7), b"a" * 32), (id_of(3, 7), b"b" * 32), (id_of(1, 8), b"c" * 32))
    told = list(clients.replies([FinalReply(5, 0, Cause.EARLY, results)]))
    assert told == [("one", FinalReply(5, 0, Cause.EARLY, (results[0], results[2])))]


def test_everybody_hears_of_an_own_header() -> None:
    """With results or without: clients aim at the shard of the header to come."""
    clients = Clients()
    clients.subscribe(1, "one")
    clients.subscribe(2, "two")
    results = ((id_of(2, 7), b"a" * 32),)
    told = dict(clients.replies([SpecReply(5, 0, results)]))
    assert told == {"one": SpecReply(5, 0, ()), "two": SpecReply(5, 0, results)}
