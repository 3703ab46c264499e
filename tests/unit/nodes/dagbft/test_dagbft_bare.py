"""Certificates without their headers: put together again, or asked for whole."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nodes.dagbft.messages import BareCertificate, Certificate, CertRequest, Header, Vote
from nodes.dagbft.primary.bare import KEPT, Headers
from nodes.dagbft.primary.config import PrimaryConfig
from nodes.dagbft.primary.effects import ALL
from nodes.dagbft.simulate import Settings, Simulation, uniform
from nodes.dagbft.wire import encode

HEADER = Header(0, 2, 3, (), b"", (bytes(32),) * 3, 1, bytes(32), b"", 1, bytes(8), bytes(64))
WHOLE = Certificate(HEADER, tuple((voter, bytes(64)) for voter in range(3)))


def sent(headers: Headers) -> BareCertificate:
    bare = headers.outgoing(ALL, WHOLE)
    assert isinstance(bare, BareCertificate)
    return bare


def test_what_goes_to_all_goes_without_its_header() -> None:
    headers = Headers(4)
    assert len(encode(sent(headers))) < len(encode(WHOLE)) - 150
    assert headers.outgoing(1, WHOLE) is WHOLE
    assert headers.outgoing(ALL, HEADER) is HEADER


def test_a_receiver_that_has_the_header_puts_the_certificate_together() -> None:
    headers = Headers(4)
    assert headers.incoming(2, HEADER) == (HEADER, None)
    assert headers.incoming(2, sent(headers)) == (WHOLE, None)
    assert headers.incoming(1, sent(headers)) == (WHOLE, None)  # whoever sends it


def test_a_receiver_that_lacks_the_header_asks_for_the_whole() -> None:
    asked = CertRequest((WHOLE.digest,))
    headers = Headers(4)
    bare = sent(headers)
    assert headers.incoming(2, bare) == (None, asked)
    assert headers.incoming(3, replace(HEADER)) == (HEADER, None)  # not from its author: it is not kept
    headers.incoming(2, replace(HEADER, shard=3))  # another header of the slot
    assert headers.incoming(2, bare) == (None, asked)
    assert headers.incoming(2, replace(bare, author=9))[0] is None  # no validator
    headers.incoming(2, HEADER)
    assert headers.incoming(2, bare) == (WHOLE, None)
    for round in range(4, 4 + KEPT):  # a flood drives out its author's own headers only
        headers.incoming(2, replace(HEADER, round=round))
    assert headers.incoming(2, bare) == (None, asked)


def test_other_messages_pass() -> None:
    vote = Vote(bytes(32), 1, 0, 1, bytes(64))
    assert Headers(4).incoming(1, vote) == (vote, None)
    assert Headers(4).outgoing(ALL, vote) is vote


@pytest.mark.parametrize("restarted", [False, True])
def test_a_committee_lives_on_bare_certificates(restarted: bool) -> None:
    """A validator that comes back has lost the headers that it had seen: it asks, and goes on with the others."""
    config = PrimaryConfig(header_delay_s=0.05, leader_timeout_s=0.5)
    run = Simulation(Settings(n=4, seed=3, delay=uniform(0.03), primary=config, bare=True))
    run.load(20)
    run.start().run(3)
    if restarted:
        run.crash(2)
        run.run(0.5)
        run.restart(2)
    run.run(5)
    heights = [len(list(validator.primary.archive.commits())) for validator in run.validators]
    assert min(heights) > 30
    assert max(heights) - min(heights) <= 4
    assert len({run.log(number)[:2000] for number in range(4)}) == 1
    assert all(validator.headers.put_together > 100 for validator in run.validators)
    asked = [validator.headers.asked for validator in run.validators]
    assert asked[0] == asked[1] == asked[3] == 0
    assert asked[2] <= 8
