"""Dissectors in tshark: streams, what the capture cut, limits, TLS, foreign ports; and what cannot be described."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from dissected import Packets, needs_tshark

from emulator.record.lua import lua
from emulator.sdk.rounds import DISSECTOR as ROUNDS
from emulator.sdk.transport.frames import MAGIC, Hello, ack_frame, data_head, hello_frame
from emulator.sdk.transport.tls import Tls
from emulator.sdk.transport.trust import Trust, certificate_of
from emulator.sdk.wire import Choice, Dissector, Kind, Message, Octets, Rule, Unsigned
from nodes.dagbft.dissectors import dissectors as dagbft
from nodes.dagbft.identity import Identity
from nodes.dagbft.messages import Certificate, Header, SpecReply, Vote
from nodes.dagbft.wire import encode
from nodes.explorer.core import Agent, View
from nodes.explorer.dissectors import dissectors as explorer
from nodes.explorer.wire import frame
from nodes.traffic.dissectors import dissectors as traffic
from nodes.traffic.wire import Probe, Request

DIGEST, SIGNATURE = bytes(32), bytes(64)
HEADER = Header(1, 3, 12, ((DIGEST, 0),), b"", (DIGEST, DIGEST), 4, DIGEST, b"", 1, bytes(8), SIGNATURE)
CERTIFICATE = Certificate(HEADER, ((0, SIGNATURE), (1, SIGNATURE), (2, SIGNATURE)))
HELLO = hello_frame(Hello(MAGIC, b"primary", b"", 3, 5, 0, 0))
ONE = {"number": Unsigned(4), "magic": Octets(4, equals=b"Test")}


@pytest.fixture
def packets(tmp_path: Path) -> Packets:
    return Packets(tmp_path / "capture.pcapng")


def data_frame(number: int, message: Certificate | Vote | SpecReply) -> bytes:
    data = encode(message)
    return data_head(number, len(data)) + data


@needs_tshark
def test_certificates_are_found_by_round_and_author(packets: Packets) -> None:
    packets.tcp(30_000, 9_000, 1, HELLO)  # a port that nobody told: the greeting says what it is
    packets.tcp(30_000, 9_000, 1 + len(HELLO), data_frame(1, CERTIFICATE) + ack_frame(7))
    fields = [f"skyloom.dagbft.{name}" for name in ("certificate.round", "certificate.author", "header.round")]
    hello, certificate = packets.told(dagbft(), fields)
    assert hello["info"] == ["Hello from 3 , primary"]
    assert certificate["info"] == ["Certificate round 12 author 3; Heard up to 7"]
    assert [certificate[name] for name in fields] == [["12"], ["3"], ["12"]]


def talk(packets: Packets, key_log: Path) -> None:
    """Two validators shake hands and one says something, in segments of at most 500 bytes."""
    ada, bob = (Identity.of(7, name) for name in ("ada", "bob"))
    known = [certificate_of(ada), certificate_of(bob)]
    dialling, accepting = Trust(ada, known, key_log).dial(), Trust(bob, known).accept()
    segments: list[tuple[bool, bytes]] = []

    def carry(sender: Tls, receiver: Tls, back: bool) -> None:
        data = sender.outgoing()
        segments.extend((back, data[at : at + 500]) for at in range(0, len(data), 500))
        receiver.receive(data)

    for _ in range(3):
        carry(dialling, accepting, False)
        carry(accepting, dialling, True)
    dialling.send(HELLO + data_frame(1, CERTIFICATE))
    carry(dialling, accepting, False)
    dialling.send(data_frame(2, Vote(DIGEST, 12, 3, 1, SIGNATURE)))
    carry(dialling, accepting, False)
    packets.writer.secrets(key_log.read_bytes())
    sent = {False: 1, True: 1}
    for back, data in segments:
        packets.tcp(30_000, 7000, sent[back], data, back)
        sent[back] += len(data)


@needs_tshark
def test_tls_with_its_keys_shows_our_messages(packets: Packets, tmp_path: Path) -> None:
    talk(packets, tmp_path / "keys")
    found = packets.told(dagbft(), ["skyloom.dagbft.certificate.round", "skyloom.dagbft.vote.voter"])
    assert [each.get("skyloom.dagbft.vote.voter") for each in found][-1] == ["1"]
    rounds = [value for each in found for value in each.get("skyloom.dagbft.certificate.round", [])]
    assert rounds == ["12"]
    assert not any(each["malformed"] for each in found)


@needs_tshark
def test_what_the_capture_cut_is_not_malformed(packets: Packets) -> None:
    packets.udp(4242, Probe(1, 2).encode(400), kept=100)
    packets.udp(4242, Probe(1, 2).encode(400), kept=50)
    agent = Agent("kt1")
    agent.step(View(2, (1, 4)))
    packets.tcp(30_000, 4244, 1, frame(3, agent), kept=70)
    for found in packets.told([*traffic(), *explorer()]):
        assert found["malformed"] == []
        assert "(cut)" in found["info"][0]


@needs_tshark
def test_large_lists_are_checked_to_the_end_though_not_shown(packets: Packets) -> None:
    results = tuple((number.to_bytes(16, "big"), DIGEST) for number in range(1 << 14))
    packets.tcp(30_000, 9_000, 1, HELLO)
    whole = data_frame(1, SpecReply(1, 2, results))
    wrong = bytearray(whole)
    wrong[-1 - len(results) * 48] ^= 1  # the count
    sequence = 1 + len(HELLO)
    for part in (whole, bytes(wrong)):
        for at in range(0, len(part), 60_000):
            packets.tcp(30_000, 9_000, sequence + at, part[at : at + 60_000])
        sequence += len(part)
    found = packets.told(dagbft(), ["skyloom.dagbft.spec_reply.results.count"])
    told = [each for each in found if "skyloom.dagbft.spec_reply.results.count" in each]
    assert [each["skyloom.dagbft.spec_reply.results.count"] for each in told] == [["16384"], ["16385"]]
    assert [bool(each["malformed"]) for each in told] == [False, True]
    assert "16385 entries; expected at most 16384" in told[1]["malformed"][0]


@needs_tshark
def test_ports_of_others_stay_theirs(packets: Packets) -> None:
    packets.tcp(30_000, 8080, 1, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    packets.tcp(30_001, 8080, 1, Request(3, 20).encode() + bytes(3))
    packets.tcp(30_001, 8080, 1, bytes(20), back=True)
    http, asked, answered = packets.told(traffic(), ["http.host"])
    assert http["http.host"] == ["a"]
    assert asked["info"] == ["Request of 3 bytes for 20 bytes"]
    assert answered["info"] == ["Body, 20 bytes"]


@needs_tshark
def test_rounds_are_known_at_any_port(packets: Packets) -> None:
    packets.udp(9_000, b"SkyR" + bytes([0, 0, 0, 2, 0, 0, 0, 5]) + b"hello")
    (found,) = packets.told([ROUNDS], ["skyloom.rounds.datagram.due", "skyloom.rounds.datagram.payload"])
    assert found["info"] == ["round 2, due in 5"]
    assert found["skyloom.rounds.datagram.due"] == ["5"]
    assert found["skyloom.rounds.datagram.payload"] == [b"hello".hex()]


@needs_tshark
def test_a_frame_past_its_limit_is_flagged_and_not_waited_for(packets: Packets) -> None:
    packets.tcp(30_000, 4244, 1, b"SkyX" + bytes(4) + b"\xff\xff\xff\xff" + bytes(50))
    packets.tcp(30_001, 4244, 1, b"GET / HTTP/1.0\r\n\r\n")
    limit, foreign = packets.told(explorer())
    assert "agent.body_bytes: number 4294967295; expected 0 to" in limit["malformed"][0]
    assert "47455420 where the kind of a message stands; expected one of 536b7958, 536b7959" in foreign["malformed"][0]


def test_names_are_given_once() -> None:
    one = Dissector("one", "One", "udp", (Message("m", ONE),))
    assert lua([one, one]).count('name = "one"') == 1
    with pytest.raises(ValueError, match="two dissectors named one; expected one"):
        lua([one, replace(one, title="Another")])


def test_kinds_that_nobody_knows_are_refused() -> None:
    class Odd(Kind):
        pass

    with pytest.raises(TypeError, match="Odd is no kind that a dissector knows"):
        lua([Dissector("one", "One", "udp", (Message("m", {**ONE, "odd": Odd()}),))])


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: Message("Upper", ONE), "name 'Upper'; expected small letters"),
        (lambda: Message("m", {"two words": Unsigned(1)}), "name 'two words'; expected small letters"),
        (lambda: Message("m", {"a": Unsigned(8)}, rules=(Rule("a <= a"),)), "expected integers of at most 4 bytes"),
        (lambda: Choice(Message("m", {"a": Unsigned(1)})), "expected some by which each is known"),
        (lambda: Dissector("x", "X", "udp", ()), "expected some by which each is known"),
        (lambda: Dissector("x", "X", "udp", (Message("m", ONE),), ports=(0,)), r"ports \(0,\); expected 1 to 65535"),
        (lambda: Dissector("x.y", "X", "udp", (Message("m", ONE),)), r"name 'x\.y'; expected small letters"),
        (lambda: Rule("a and b"), "rule 'a and b'; expected names joined by"),
    ],
)
def test_what_cannot_be_described(make, error) -> None:
    with pytest.raises(ValueError, match=error):
        make()
