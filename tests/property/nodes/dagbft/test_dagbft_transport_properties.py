"""Properties of frames and links: the same frames however a stream is cut; what is taken arrives once, in order."""

from __future__ import annotations

from collections import deque

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from emulator.sdk.transport.frames import (
    ACK,
    DATA,
    HELLO,
    MAGIC,
    Frame,
    FrameReader,
    Hello,
    ack_frame,
    data_head,
    hello_frame,
)
from emulator.sdk.transport.link import OVERHEAD_BYTES, ReliableLink

LIMITS = {1: 30, 2: 100}
numbers = st.integers(0, (1 << 64) - 1)
hellos = st.builds(Hello, st.just(MAGIC), st.binary(max_size=64), st.binary(max_size=64), st.integers(0, 65535),
                   numbers, numbers, numbers)  # fmt: skip


@st.composite
def streams(draw: st.DrawFn) -> tuple[bytes, list[Frame]]:
    """A stream of frames good and bad, and what a reader should make of it."""
    stream, frames = b"", []
    for _ in range(draw(st.integers(0, 8))):
        number = draw(numbers)
        match draw(st.integers(0, 4)):
            case 0:
                hello = draw(hellos)
                stream += hello_frame(hello)
                frames.append(Frame(HELLO, 0, hello.encode()))
            case 1:
                stream += ack_frame(number)
                frames.append(Frame(ACK, number))
            case 2:
                body = bytes((draw(st.sampled_from([1, 2, 3])),)) + draw(st.binary(max_size=120))
                stream += data_head(number, len(body)) + body
                limit = LIMITS.get(body[0])
                wrong = "type" if limit is None else "oversized" if len(body) > limit else ""
                frames.append(Frame(DATA, number, b"" if wrong else body, wrong))
            case 3:
                body = draw(st.binary(max_size=50))
                kind = draw(st.integers(4, 255))
                stream += (len(body) + 1).to_bytes(4, "big") + bytes((kind,)) + body
                frames.append(Frame(kind, wrong="kind"))
            case 4:
                stream += (5).to_bytes(4, "big") + bytes((DATA,)) + draw(st.binary(min_size=4, max_size=4))
                frames.append(Frame(DATA, wrong="short"))
    return stream, frames


@given(streams(), st.data())
def test_any_cut_gives_the_same_frames_and_little_is_held(
    stream: tuple[bytes, list[Frame]], data: st.DataObject
) -> None:
    whole, expected = stream
    reader, found, at = FrameReader(LIMITS), [], 0
    while at < len(whole):
        size = data.draw(st.integers(1, 40))
        found += list(reader.feed(whole[at : at + size]))
        at += size
        assert reader.held <= 300
    assert found == expected
    assert reader.held == 0


@given(st.lists(st.binary(max_size=40), max_size=20))
def test_any_bytes_are_cut_without_error_and_little_is_held(chunks: list[bytes]) -> None:
    reader = FrameReader(LIMITS)
    for chunk in chunks:
        for frame in reader.feed(chunk):
            assert frame.wrong or len(frame.body) <= 260
        assert reader.held <= 300


@given(hellos)
def test_greetings_round_trip(hello: Hello) -> None:
    assert Hello.decode(hello.encode()) == hello


class Talk(RuleBasedStateMachine):
    """One sender and one receiver over a stream that may be cut anywhere: both ways something is lost then."""

    MOST_BYTES = 20 * OVERHEAD_BYTES

    @initialize()
    def begin(self) -> None:
        self.sender = ReliableLink(1, self.MOST_BYTES)
        self.receiver = ReliableLink(2, self.MOST_BYTES)
        self.taken: list[tuple[int, int | None]] = []  # what `send` took, as (serial, round)
        self.got: list[int] = []
        self.forgotten = -1
        self.serial = 0
        self.stream: deque[tuple[int, bytes]] | None = None
        self.acks: deque[int] = deque()

    @rule(round=st.none() | st.integers(0, 20))
    def send(self, round: int | None) -> None:
        room = self.sender.kept_bytes + 4 + OVERHEAD_BYTES <= self.MOST_BYTES
        assert self.sender.send(self.serial.to_bytes(4, "big"), round) == room
        if room:
            self.taken.append((self.serial, round))
        self.serial += 1

    @rule(lost=st.integers(0, 3))
    def connect(self, lost: int) -> None:
        """The old connection, if any, ends with some of its frames undelivered."""
        while self.stream and len(self.stream) > lost:
            self.deliver()
        told = self.receiver.heard_incarnation, self.receiver.heard
        self.receiver.connected(1, 0, 0)
        self.sender.connected(2, *told)
        self.stream, self.acks = deque(), deque()

    @precondition(lambda self: self.stream is not None)
    @rule(most_bytes=st.integers(1, 20))
    def write(self, most_bytes: int) -> None:
        pieces = self.sender.take(most_bytes)
        assert self.stream is not None
        for head, body in zip(pieces[::2], pieces[1::2], strict=True):
            (frame,) = FrameReader({body[0]: 4}).feed(head + body)
            self.stream.append((frame.number, frame.body))

    @precondition(lambda self: self.stream)
    @rule()
    def deliver(self) -> None:
        assert self.stream
        number, body = self.stream.popleft()
        if self.receiver.fresh(number):
            self.got.append(int.from_bytes(body, "big"))
        self.acks.append(self.receiver.heard)

    @precondition(lambda self: self.acks)
    @rule()
    def acknowledge(self) -> None:
        self.sender.acked(self.acks.popleft())

    @rule(round=st.integers(0, 20))
    def forget(self, round: int) -> None:
        before = self.sender.kept_bytes
        self.sender.forget(round)
        self.forgotten = max(self.forgotten, round)
        assert self.sender.kept_bytes <= before

    @invariant()
    def once_and_in_order(self) -> None:
        if not hasattr(self, "got"):
            return
        assert self.got == sorted(set(self.got))
        got = set(self.got)
        late = [serial for serial, round in self.taken if serial not in got and round is None]
        if self.got:  # nothing that may not be forgotten is passed over
            assert all(serial > self.got[-1] for serial in late)
        assert 0 <= self.sender.kept_bytes <= self.MOST_BYTES

    def teardown(self) -> None:
        if not hasattr(self, "got"):
            return
        self.connect(0)
        while self.sender.waiting:
            self.write(1 << 20)
        while self.stream:
            self.deliver()
        self.acknowledge_all()
        expected = {serial for serial, round in self.taken if round is None or round > self.forgotten}
        assert expected <= set(self.got) <= {serial for serial, _ in self.taken}
        assert self.sender.kept_bytes == 0

    def acknowledge_all(self) -> None:
        while self.acks:
            self.sender.acked(self.acks.popleft())


TestTalk = Talk.TestCase
