"""What the relay says once is said in the end, in order, however far behind its reader was."""

import socket
from types import SimpleNamespace

import msgpack
import pytest

from emulator.link.control import MOST_UNSENT, Control


@pytest.fixture
def ends():
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)
    yield Control(theirs, SimpleNamespace(stopped=False)), ours
    ours.close()
    theirs.close()


def heard(sock):
    found = []
    try:
        while True:
            found.append(msgpack.unpackb(sock.recv(1 << 20), strict_map_key=False))
    except BlockingIOError:
        return found


def carriers(control, reader):
    """Times of everything that was told, read until reports come through with nothing before them."""
    found = []
    while True:
        times = [message["t_s"] for message in heard(reader) if message["op"] == "carrier"]
        if not times:
            return found
        found += times
        control.report({"op": "stats"}, {}, final=False)


def test_what_is_told_while_nobody_reads_comes_later_and_in_order(ends):
    control, reader = ends
    for number in range(3000):
        control.tell({"op": "carrier", "t_s": number})
    assert control.report({"op": "stats"}, {}, final=False) is False, "a report would overtake what is still to be told"
    numbers = carriers(control, reader)
    assert numbers == list(range(3000))
    assert control.untold == 0


def test_what_waits_is_bounded_and_what_is_given_up_is_counted(ends):
    control, reader = ends
    told = 2 * MOST_UNSENT
    for number in range(told):
        control.tell({"op": "carrier", "t_s": number, "filler": "x" * 200})
    assert 0 < control.untold < told
    numbers = carriers(control, reader)
    assert numbers == sorted(numbers)
    assert len(numbers) + control.untold == told
