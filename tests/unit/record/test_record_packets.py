"""Reading our own captures again, whole, cut and damaged; and IP headers."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_captures import capture, udp

from emulator.record.packets import files, headers, read
from emulator.record.pcapng import LINKTYPE_ETHERNET, Interface


def test_what_was_written_is_read(tmp_path):
    names = (Interface("a:x", "a -> b"), Interface("b -> a", "b:y", LINKTYPE_ETHERNET))
    frame = bytes(12) + b"\x08\x00" + udp()
    path = capture(
        tmp_path / "capture.pcapng", [(0, 10**18, udp(), ""), (1, 10**18 + 7, frame, "dropped: loss")], names
    )
    first, second = read(path)
    assert first == (10**18, "a:x", "a -> b", udp(), "")
    assert second == (10**18 + 7, "b -> a", "b:y", udp(), "dropped: loss")
    assert [packet.at_ns for packet in read(path, 10**18 + 1)] == [10**18 + 7]
    assert [packet.at_ns for packet in read(path, 0, 10**18 + 7)] == [10**18]


def test_a_cut_file_gives_what_stands_before_the_cut(tmp_path):
    path = capture(tmp_path / "capture.pcapng", [(0, at, udp(), "") for at in range(5)])
    whole = path.read_bytes()
    counts = []
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        counts.append(len(list(read(path))))
    assert counts == sorted(counts)
    assert counts[-1] == 5


@given(st.binary(max_size=300))
def test_any_bytes_are_no_error(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "any.pcapng"
    path.write_bytes(data)
    for packet in read(path):
        headers(packet.data)


@given(st.binary(max_size=90))
def test_any_packet_is_no_error(data):
    headers(data)
    headers(b"\x45" + data)
    headers(b"\x60" + data)


def test_headers_of_both_versions():
    found = headers(udp())
    assert (found.source, found.destination, found.kind) == ("10.0.0.1", "10.0.0.2", "udp 7000")
    assert headers(udp(ttl=63)).identity == found.identity
    assert headers(udp(payload=b"other")).identity != found.identity
    six = b"\x60" + bytes(3) + b"\0\x0c" + bytes([6, 64]) + bytes(15) + b"\1" + bytes(15) + b"\2"
    found = headers(six + struct.pack(">HH", 5201, 50000) + bytes(8))
    assert (found.source, found.destination, found.kind) == ("::1", "::2", "tcp 5201")


@pytest.mark.parametrize("data", [b"", b"\x45", b"\x10" * 60, b"\x60" * 39])
def test_what_is_no_ip_packet(data):
    assert headers(data) is None


def test_captures_of_a_folder(tmp_path):
    (tmp_path / "capture").mkdir()
    for name in ("capture-0001.pcapng", "capture/a-x.pcapng", "other.pcapng"):
        (tmp_path / name).touch()
    assert [path.name for path in files(tmp_path)] == ["capture-0001.pcapng", "a-x.pcapng"]
