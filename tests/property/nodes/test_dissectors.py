"""Dissectors against codecs: every field of every message decodes in tshark, and what a codec refuses is flagged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from dissected import Packets, Values, encoded, needs_tshark, shown, values_of
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from emulator.sdk import rounds
from emulator.sdk.transport.frames import Hello, ack_frame, data_head
from emulator.sdk.wire import Choice, Dissector, Message, layout_of
from nodes.amnesiac import dissectors as amnesiac
from nodes.dagbft import dissectors as dagbft
from nodes.dagbft import wire as dagbft_wire
from nodes.dagbft.execution import transactions
from nodes.dagbft.messages import Batch, BatchReply, Header, OthersBatch, OurBatch, Sealed, SubmitTx
from nodes.explorer import dissectors as explorer
from nodes.explorer import wire as explorer_wire
from nodes.explorer.wire import Memory
from nodes.pipeline import dissectors as pipeline
from nodes.plurality import dissectors as plurality
from nodes.plurality import wire as plurality_wire
from nodes.traffic import dissectors as traffic
from nodes.traffic import wire as traffic_wire

PROBE, BULK, REQUEST = traffic.dissectors()
(PLURALITY,) = plurality.dissectors()
(AMNESIAC,) = amnesiac.dissectors()
(EXPLORER,) = explorer.dissectors()
(DAGBFT,) = dagbft.dissectors()
(PIPELINE,) = pipeline.dissectors()
DATAGRAMS = [PROBE, PLURALITY, AMNESIAC]
PLAIN = [*DATAGRAMS, BULK, REQUEST, EXPLORER]
ALL = [*PLAIN, DAGBFT, PIPELINE, rounds.DISSECTOR]
HELLO, DATA, ACK = DAGBFT.messages
INSIDE = DATA.parts["message"]
assert isinstance(INSIDE, Choice)
STAGES = PIPELINE.messages[1].parts["message"]
assert isinstance(STAGES, Choice)
BY_CODE = {each.marks()[0][1][0]: each for each in INSIDE.messages}
RELAXED = settings(  # each example is a run of tshark, of half a second
    max_examples=2, suppress_health_check=[*HealthCheck], phases=[Phase.explicit, Phase.generate]
)


def fitted(message: Message, values: Values) -> Values:
    """The same values so that the message's rules hold between them."""
    for rule in message.rules:
        if rule.text == "sent <= due":
            values["sent"], values["due"] = sorted((values["sent"], values["due"]))
        else:
            assert rule.text == "moves + waits == steps"
            values["moves"], values["waits"] = values["steps"] // 3, values["steps"] - values["steps"] // 3
    return values


def drawn(message: Message) -> st.SearchStrategy[tuple[Message, Values, bytes]]:
    """Values of a message, and their bytes."""

    def complete(values: Values) -> tuple[Message, Values, bytes]:
        data = encoded(message, fitted(message, values))
        return message, values, data

    return values_of(dict(message.parts)).map(complete)


def batch(messages: list[Message], each: int = 3) -> st.SearchStrategy[list[tuple[Message, Values, bytes]]]:
    """Some of every message."""
    one = st.tuples(*(drawn(message) for message in messages for _ in range(each)))
    return one.map(list)


def framed(number: int, inner: bytes) -> bytes:
    return data_head(number, len(inner)) + inner


def told(fill: Callable[[Packets], None], fields: set[str] | None = None) -> list[dict[str, list[str]]]:
    with TemporaryDirectory() as folder:
        packets = Packets(Path(folder) / "capture.pcapng")
        fill(packets)
        return packets.told(ALL, sorted(fields or ()))


# Fields


@needs_tshark
@given(batch([message for each in PLAIN for message in each.messages]))
@RELAXED
def test_messages_decode(drawn: list[tuple[Message, Values, bytes]]) -> None:
    whose = {message.name: each for each in PLAIN for message in each.messages}
    expected = [shown(whose[message.name].name, message, values) for message, values, _ in drawn]

    def fill(packets: Packets) -> None:
        for number, (message, _, data) in enumerate(drawn):
            dissector = whose[message.name]
            if dissector.transport == "udp":
                packets.udp(dissector.ports[0], data)
            else:
                packets.tcp(30_000 + number, dissector.ports[0], 1, data)

    for fields, found in zip(expected, told(fill, {name for each in expected for name in each}), strict=True):
        assert found.pop("malformed") == []
        assert found.pop("info")[0]
        assert found == fields


def check_stream(dissector: Dissector, port: int, drawn: list[tuple[Message, Values, bytes]]) -> None:
    """Messages in frames, in one stream, cut into segments anywhere: a packet ends with the frame that it completes."""
    greeting, data_frame, _ = dissector.messages
    choice = data_frame.parts["message"]
    assert isinstance(choice, Choice)
    inner = {message.name for message in choice.messages}
    hello = encoded(greeting, values := {"kind": 1, "magic": b"SkyD", "service": b"s", "label": b"", "sender": 1,
                                         "incarnation": 1, "heard_incarnation": 0, "heard": 0})  # fmt: skip
    expected = [shown(dissector.name, greeting, values)]
    frames = [hello]
    for number, (message, values, data) in enumerate(drawn, 1):
        fields = shown(dissector.name, message, values)
        if message.name in inner:
            data = framed(number, data)
            head = {"length": str(len(data) - 4), "kind": "2", "number": str(number)}
            fields |= {f"skyloom.{dissector.name}.data.{name}": [text] for name, text in head.items()}
        frames.append(data)
        expected.append(fields)

    def fill(packets: Packets) -> None:
        sequence = 1
        for frame in frames:
            packets.tcp(30_000, port, sequence, frame)
            sequence += len(frame)

    for fields, found in zip(expected, told(fill, {name for each in expected for name in each}), strict=True):
        assert found.pop("malformed") == []
        assert found.pop("info")[0]
        assert found == fields


@needs_tshark
@given(batch([*INSIDE.messages, HELLO, ACK], each=2))
@RELAXED
def test_every_message_of_dagbft_decodes(drawn: list[tuple[Message, Values, bytes]]) -> None:
    check_stream(DAGBFT, 17_000, drawn)


@needs_tshark
@given(batch([*STAGES.messages], each=2))
@RELAXED
def test_every_message_of_a_pipeline_decodes(drawn: list[tuple[Message, Values, bytes]]) -> None:
    check_stream(PIPELINE, PIPELINE.ports[0], drawn)


@needs_tshark
@given(batch([*EXPLORER.messages], each=4), st.integers(20, 200))
@RELAXED
def test_frames_are_put_together_from_segments(drawn: list[tuple[Message, Values, bytes]], size: int) -> None:
    stream = b"".join(data for _, _, data in drawn)

    def fill(packets: Packets) -> None:
        for at in range(0, len(stream), size):
            packets.tcp(30_000, 4244, 1 + at, stream[at : at + size])

    fields = {"skyloom.explorer.agent.step", "skyloom.explorer.receipt.step"}
    found = told(fill, fields)
    steps = [step for each in found for step in each.get("skyloom.explorer.agent.step", [])]
    receipts = [step for each in found for step in each.get("skyloom.explorer.receipt.step", [])]
    assert steps == [str(values["step"]) for message, values, _ in drawn if message.name == "agent"]
    assert receipts == [str(values["step"]) for message, values, _ in drawn if message.name == "receipt"]
    assert not any(each["malformed"] for each in found)


# Flags


def refused_datagram(port: int, data: bytes) -> bool:
    decode: dict[int, Callable[[bytes], Any]] = {
        4242: traffic_wire.Probe.decode, 4300: plurality_wire.decode, 4243: rounds.decode,
    }  # fmt: skip
    try:
        decode[port](data)
    except ValueError:
        return True
    return False


def refused_message(data: bytes) -> bool:
    try:
        message = dagbft_wire.decode(data)
        bodies = [message.body] if isinstance(message, Batch | OurBatch | OthersBatch) else []
        bodies += [message.inline] if isinstance(message, Header | Sealed) else []
        bodies += message.bodies if isinstance(message, BatchReply) else []
        inside = [each for body in bodies for each in dagbft_wire.split_transactions(body)]
        inside += [message.transaction] if isinstance(message, SubmitTx) and message.transaction else []
        for each in inside:
            transactions.decode(each)
    except ValueError:
        return True
    return False


def refused_memory(data: bytes) -> bool:
    try:
        _, end = layout_of(Memory).read(data, 0)
    except ValueError:
        return True
    return end != len(data)


def damaged(data: bytes, choice: tuple[int, int, int]) -> bytes:
    """The same cut short, with a byte changed, or with a byte more."""
    how, place, byte = choice
    at = place % len(data)
    if how == 0:
        return data[:at]
    if how == 1:
        return data[:at] + bytes([data[at] ^ byte]) + data[at + 1 :]
    return data + bytes([byte])


DAMAGE = st.tuples(st.integers(0, 2), st.integers(0, 400), st.integers(1, 255))


@needs_tshark
@given(
    batch([message for each in DATAGRAMS for message in each.messages], each=6),
    st.lists(DAMAGE, min_size=24, max_size=24),
    st.lists(st.tuples(st.sampled_from([4242, 4300, 4243]), st.binary(max_size=60)), max_size=20),
)
@RELAXED
def test_datagrams_that_codecs_refuse_are_flagged(
    drawn: list[tuple[Message, Values, bytes]], choices: list[tuple[int, int, int]], rubbish: list[tuple[int, bytes]]
) -> None:
    port_of = {message.name: each.ports[0] for each in DATAGRAMS for message in each.messages}
    sent = [
        (port_of[message.name], damaged(data, choice))
        for (message, _, data), choice in zip(drawn, choices, strict=True)
    ]
    sent = [(port, data) for port, data in sent + rubbish if data]

    def fill(packets: Packets) -> None:
        for port, data in sent:
            packets.udp(port, data)

    for (port, data), found in zip(sent, told(fill), strict=True):
        assert bool(found["malformed"]) == refused_datagram(port, data), (port, data.hex(), found)
        assert not found["malformed"] or "; expected " in found["malformed"][0]


@needs_tshark
@given(
    batch([*INSIDE.messages], each=3),
    st.lists(DAMAGE, min_size=3 * len(INSIDE.messages), max_size=3 * len(INSIDE.messages)),
    st.lists(st.tuples(st.sampled_from(sorted(BY_CODE)), st.binary(max_size=60)), max_size=20),
)
@RELAXED
def test_messages_of_dagbft_that_the_codec_refuses_are_flagged(
    drawn: list[tuple[Message, Values, bytes]], choices: list[tuple[int, int, int]], rubbish: list[tuple[int, bytes]]
) -> None:
    sent = [damaged(data, choice) for (_, _, data), choice in zip(drawn, choices, strict=True)]
    sent = [data for data in sent if data] + [bytes([code]) + data for code, data in rubbish]
    hello = encoded(HELLO, {"kind": 1, "magic": b"SkyD", "service": b"s", "label": b"", "sender": 1,
                            "incarnation": 1, "heard_incarnation": 0, "heard": 0})  # fmt: skip

    def fill(packets: Packets) -> None:
        packets.tcp(30_000, 17_000, 1, hello)
        sequence = 1 + len(hello)
        for number, data in enumerate(sent):
            packets.tcp(30_000, 17_000, sequence, frame := framed(number, data))
            sequence += len(frame)

    for data, found in zip(sent, told(fill)[1:], strict=True):
        assert bool(found["malformed"]) == refused_message(data), (data.hex(), found)
        assert not found["malformed"] or "; expected " in found["malformed"][0]


@needs_tshark
@given(
    batch([EXPLORER.messages[0]], each=20),
    st.lists(DAMAGE, min_size=20, max_size=20),
    st.lists(st.binary(max_size=200), max_size=10),
)
@RELAXED
def test_agents_that_have_no_layout_are_flagged(
    drawn: list[tuple[Message, Values, bytes]], choices: list[tuple[int, int, int]], rubbish: list[bytes]
) -> None:
    head = explorer_wire.HEADER.size
    sent = [damaged(data[head:], choice) for (_, _, data), choice in zip(drawn, choices, strict=True)] + rubbish

    def fill(packets: Packets) -> None:
        for number, body in enumerate(sent):
            packets.tcp(30_000 + number, 4244, 1, explorer_wire.Header(3, len(body)).encode() + body)

    for body, found in zip(sent, told(fill), strict=True):
        assert bool(found["malformed"]) == refused_memory(body), (body.hex(), found)


@needs_tshark
@given(st.lists(st.tuples(st.sampled_from([*ALL]), st.binary(min_size=1, max_size=80), st.booleans()), max_size=60))
@RELAXED
def test_any_bytes_are_dissected_without_an_error(sent: list[tuple[Dissector, bytes, bool]]) -> None:
    def fill(packets: Packets) -> None:
        for number, (dissector, data, marked) in enumerate(sent):
            in_frames = dissector in (DAGBFT, PIPELINE)
            data = (dissector.heuristics()[0][1] if marked and not in_frames else b"") + data
            data = b"\0\0\0\x40\1SkyD" + data if marked and in_frames else data
            port = dissector.ports[0] if dissector.ports else 9999
            if dissector.transport == "udp":
                packets.udp(port, data)
            else:
                packets.tcp(30_000 + number, port, 1, data)

    told(fill)  # asserts that nothing of Lua went wrong


# Codecs against descriptions, without tshark


@given(st.data())
@settings(max_examples=30)
def test_descriptions_and_codecs_write_the_same_bytes(data: st.DataObject) -> None:
    _, values, wire = data.draw(st.sampled_from(INSIDE.messages).flatmap(drawn))
    decoded = dagbft_wire.decode(wire)
    assert dagbft_wire.encode(decoded) == wire
    assert not refused_message(wire)
    for name, value in values.items():
        if name != "code" and isinstance(value, int):
            assert getattr(decoded, name) == value


@given(drawn(HELLO), drawn(ACK), drawn(PROBE.messages[0]), drawn(REQUEST.messages[0]), drawn(BULK.messages[0]))
@settings(max_examples=30)
def test_other_codecs_too(hello: Any, ack: Any, probe: Any, request: Any, greeting: Any) -> None:
    greeted = Hello.decode(hello[2][5:])
    assert greeted.encode() == hello[2][5:]
    assert ack_frame(ack[1]["number"]) == ack[2]
    assert traffic_wire.Probe.decode(probe[2]).encode(len(probe[2])) == probe[2]
    head = traffic_wire.Request.BYTES
    asked = traffic_wire.Request.decode(request[2][:head])
    assert (asked.encode(), asked.request_bytes) == (request[2][:head], len(request[2]) - head)
    assert traffic_wire.Greeting.decode(greeting[2]).flow == greeting[1]["flow"]


@given(drawn(PLURALITY.messages[0]), drawn(PLURALITY.messages[1]), drawn(AMNESIAC.messages[0]))
@settings(max_examples=30)
def test_datagram_codecs_too(query: Any, reply: Any, flood: Any) -> None:
    for _, values, wire in (query, reply):
        message = plurality_wire.decode(wire)
        assert message.encode() == wire
        assert message._asdict() == {name: values[name] for name in message._fields}
    assert rounds.decode(flood[2]) == (flood[1]["sent"], flood[1]["due"], flood[1]["payload"])


@given(st.lists(drawn(Message("entry", dict(layout_of(transactions.Transaction).parts))), max_size=3))
@settings(max_examples=30)
def test_transactions_have_the_layout_that_they_say(entries: list[Any]) -> None:
    for _, values, wire in entries:
        decoded = transactions.decode(wire)
        assert transactions.encode(decoded) == wire
        assert decoded._asdict() == values | {"operations": tuple(values["operations"])}
    packed = dagbft_wire.join_transactions(wire for _, _, wire in entries)
    kind = BY_CODE[16].parts["body"]
    assert kind.holds.read(packed, 0)[0] == tuple(dagbft_wire.split_transactions(packed))  # type: ignore[attr-defined]


@pytest.mark.parametrize("dissector", ALL, ids=lambda each: each.name)
def test_messages_are_told_apart_by_their_constants(dissector: Dissector) -> None:
    marks = [tuple(message.marks()) for message in dissector.messages]
    assert len(set(marks)) == len(marks)
