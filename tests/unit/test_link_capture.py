"""The capture tee: records that read back, a reader that is too slow, a reader that has gone."""

import os

from emulator.link.capture import LIMIT, Tee, consumed, records


def test_records_read_back_from_a_pipe():
    reader, writer = os.pipe()
    tee = Tee(writer, frozenset({1, 2}), snaplen=4)
    tee.add(1, 0.5, 0.75, 0, bytes(10) + b"abcdef")
    tee.add(2, -0.25, -0.25, 4, bytes(10) + b"xy")
    tee.close()
    stream = os.read(reader, 1 << 16)
    os.close(reader)
    first, second = records(stream)
    assert first == (500_000_000, 750_000_000, 1, 0, 0, 6, b"abcd")
    assert second == (-250_000_000, -250_000_000, 2, 4, 0, 2, b"xy")
    assert consumed(stream) == len(stream)


def test_a_stream_cut_short_gives_its_whole_records():
    reader, writer = os.pipe()
    tee = Tee(writer, frozenset({1}))
    for n in range(3):
        tee.add(1, n, n, 0, bytes(10) + b"abc")
    tee.close()
    stream = os.read(reader, 1 << 16)
    os.close(reader)
    for cut in range(len(stream)):
        whole = list(records(stream[:cut]))
        assert len(whole) == cut // (len(stream) // 3)
        assert consumed(stream[:cut]) == len(whole) * (len(stream) // 3)


def test_a_slow_reader_costs_records_not_memory_or_time():
    reader, writer = os.pipe()
    tee = Tee(writer, frozenset({1}))
    for n in range(8000):
        tee.add(1, n, n, 0, bytes(1510))
    assert tee.lost > 0
    assert len(tee._pending) <= LIMIT
    received = bytearray(os.read(reader, 1 << 20))
    tee.flush()
    tee.add(1, 9000, 9000, 0, bytes(110))
    while True:
        tee.flush()
        part = os.read(reader, 1 << 20)
        received += part
        if not tee._pending and len(part) < 1 << 16:
            break
    tee.close()
    os.close(reader)
    got = list(records(bytes(received)))
    assert len(got) == 8001 - tee.lost
    assert got[-1].left_ns == 9000 * 10**9
    assert got[-1].lost == tee.lost


def test_a_reader_that_has_gone_breaks_the_tee_and_nothing_else():
    reader, writer = os.pipe()
    os.close(reader)
    tee = Tee(writer, frozenset({1}))
    tee.add(1, 0, 0, 0, bytes(20))
    tee.flush()
    assert tee.broken
    tee.add(1, 1, 1, 0, bytes(20))
    assert tee.lost == 1
    tee.close()
