"""The relay's capture records as pcapng: packets, comments, names that change, keys."""

import io

import pytest
from capture_streams import DATAGRAM, batch, blocks, comments, faces
from hypothesis import given
from hypothesis import strategies as st

from emulator.link.stats import EndStats
from emulator.model.network import LinkSpec, Network, NodeSpec
from emulator.record.capture import DROPPED, CaptureConverter, Stream
from emulator.record.key_logs import KeyLogs
from emulator.record.links import CAUSES
from emulator.record.packet_comments import concerned, fault, handover, interface, names
from emulator.record.pcapng import Interface
from emulator.record.section import Section

pytest.importorskip("pcapng")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:pcapng.*")

T0_NS = 1_795_458_607_000_000_000
UP, EAST = Interface("gs-tokyo -> sat-0312", "gs-tokyo:up"), Interface("sat-0312 -> sat-0313", "sat-0312:e")
ENDS = {4: UP, 9: EAST}


def converter(out, described=ENDS, comment="", **options):
    section = Section(Stream(out.write), described, T0_NS, comment)
    return CaptureConverter(described, lambda end: section, **options)


def test_records_become_packets_of_their_interface():
    out = io.BytesIO()
    capture = converter(out, comment="run 7f3a, seed 7")
    assert len(blocks(out.getvalue())) == 3  # a reader sees the interfaces before the first packet
    capture.feed(batch((1.5, 4), (2.25, 9, 0, DATAGRAM[:20], 32)))
    capture.finish()
    section, up, east, first, second, *statistics = blocks(out.getvalue())
    assert section.options["opt_comment"] == "run 7f3a, seed 7"
    assert (up.options["if_name"], up.options["if_description"]) == ("gs-tokyo -> sat-0312", "gs-tokyo:up")
    assert east.options["if_name"] == "sat-0312 -> sat-0313"
    assert (first.interface_id, first.packet_data, first.packet_len) == (0, DATAGRAM, 32)
    assert first.timestamp_high << 32 | first.timestamp_low == T0_NS + 1_500_000_000
    assert (second.interface_id, second.packet_data, second.packet_len) == (1, DATAGRAM[:20], 32)
    assert [block.interface_id for block in statistics] == [0, 1]
    assert (capture.packets, capture.dropped, capture.missed) == (2, 0, 0)


def test_every_drop_cause_is_a_comment():
    assert {f"DROP_{cause.upper()}" for cause in CAUSES} == {cause.name for cause in DROPPED}
    out = io.BytesIO()
    capture = converter(out)
    for cause in DROPPED:
        capture.feed(batch((1.0, 4, cause)))
    capture.finish()
    assert comments(out.getvalue()) == list(DROPPED.values())
    assert blocks(out.getvalue())[9].options["isb_ifdrop"] == len(DROPPED) == capture.dropped


def test_what_the_tee_left_out_is_said_where_it_is_missing():
    out = io.BytesIO()
    capture = converter(out, {4: UP})
    capture.feed(batch((1.0, 4)) + batch((1.0, 4), (1.0, 4, EndStats.DROP_QUEUE), lost=3))
    capture.feed(batch((1.0, 4, EndStats.DROP_LOSS), lost=4))
    capture.finish(missed=6)
    assert comments(out.getvalue()) == [
        "",
        "packets missing before this one: 3",
        "dropped: queue full",
        "packets missing before this one: 1; dropped: random loss",
    ]
    assert blocks(out.getvalue())[-1].options["isb_osdrop"] == 6


@given(st.lists(st.integers(0, 200), max_size=8), st.lists(st.integers(1, 60), min_size=1))
def test_stream_may_be_cut_anywhere(sizes, cuts):
    stream = b"".join(batch((number, 4, 0, bytes(size))) for number, size in enumerate(sizes))
    out = io.BytesIO()
    capture = converter(out)
    at = 0
    while at < len(stream):
        cut = cuts[at % len(cuts)]
        capture.feed(stream[at : at + cut])
        at += cut
    assert [len(block.packet_data) for block in blocks(out.getvalue())[3:]] == sizes


def test_a_filter_and_a_limit_leave_packets_out_and_keep_remarks_for_the_next():
    out = io.BytesIO()
    capture = converter(out, keep=lambda end, face, packet: packet[:1] == b"E", most=2)
    capture.happens(4, 1.0, "fault: link-down gs-tokyo:up at 1.000 s")
    capture.feed(batch((1.0, 4, 0, b"other"), (2.0, 4), (3.0, 9), (4.0, 4), (5.0, 4)))
    assert comments(out.getvalue()) == ["fault: link-down gs-tokyo:up at 1.000 s", ""]
    assert (capture.packets, capture.full) == (2, True)


def test_a_checksum_that_the_kernel_left_open_is_completed():
    out = io.BytesIO()
    partial = DATAGRAM[:26] + b"\x14\x20" + DATAGRAM[28:]  # the pseudo header's sum
    stream = bytearray(batch((1.0, 4, 0, partial)))
    header = len(stream) - len(partial) - 10
    stream[header : header + 10] = b"\x01\0\0\0\0\0\x14\0\x06\0"  # NEEDS_CSUM, from byte 20, at 6
    converter(out).feed(bytes(stream))
    packet = blocks(out.getvalue())[-1].packet_data
    words = [int.from_bytes(packet[at : at + 2], "big") for at in range(12, 32, 2)]
    total = sum(words) + 17 + 12
    assert (total & 0xFFFF) + (total >> 16) == 0xFFFF


# --- names that change, remarks ---


def test_after_a_handover_packets_are_on_an_interface_of_the_new_name():
    later = Interface("gs-tokyo -> sat-0405", "gs-tokyo:up")
    out = io.BytesIO()
    capture = converter(out)
    capture.happens(4, 12.0, handover("sat-0312", "sat-0405", 12.0), later)  # told ahead of time
    capture.feed(batch((11.9, 4), (12.0, 9), (12.001, 4), (12.002, 4), (11.99, 4)))
    capture.happens(4, 20.0, handover("sat-0405", "", 20.0), Interface("gs-tokyo -> nobody"))
    capture.happens(4, 21.0, handover("", "sat-0312", 21.0), UP)
    capture.feed(batch((21.5, 4, EndStats.DROP_OUTAGE)))
    capture.finish()
    assert faces(out.getvalue()) == [UP.name, EAST.name, later.name, later.name, UP.name, UP.name]
    assert comments(out.getvalue()) == [
        "", "", "handover sat-0312 -> sat-0405 at 12.000 s", "", "",
        "handover sat-0405 -> nobody at 20.000 s; handover nobody -> sat-0312 at 21.000 s; dropped: link down",
    ]  # fmt: skip
    assert [block.options["if_name"] for block in blocks(out.getvalue())[1:3]] == [UP.name, EAST.name]


@given(
    st.lists(st.integers(0, 50), max_size=6, unique=True).map(sorted),
    st.lists(st.integers(0, 60), max_size=20).map(sorted),
)
def test_each_packet_is_on_the_interface_that_was_true_when_it_left(changes, times):
    out = io.BytesIO()
    capture = converter(out, {4: UP})
    for number, t_s in enumerate(changes):
        capture.happens(4, t_s, f"change {number}", Interface(f"name {number}"))
    capture.feed(batch(*((t_s, 4) for t_s in times)))
    expected = [sum(change <= t_s for change in changes) - 1 for t_s in times]
    assert faces(out.getvalue()) == [UP.name if number < 0 else f"name {number}" for number in expected]
    told = [remark for text in comments(out.getvalue()) if text for remark in text.split("; ")]
    assert told == [f"change {number}" for number in range(max(expected, default=-1) + 1)]


NODES = (
    NodeSpec("gs-tokyo", "ground station", True, "10.0.0.1"), NodeSpec("sat-0312", "satellite", False, "10.3.12.1"),
    NodeSpec("h1", "host", True), NodeSpec("sat-0405", "satellite", False, "10.4.5.1", "fc00::5"),
)  # fmt: skip
NETWORK = Network(
    NODES,
    (
        LinkSpec("gs-tokyo:up", 0, 1, "up", "down", moving=True),
        LinkSpec("h1:h1-eth0", 2, 0, "h1-eth0", "x", ethernet=True, a_address="10.9.0.1/8"),
    ),
)


def test_names_of_link_ends():
    to, back = "ground station 10.0.0.1 -> satellite 10.3.12.1", "satellite 10.4.5.1 -> ground station 10.0.0.1"
    assert [interface(NETWORK, end, far, 96) for end, far in ((0, None), (1, 3), (0, -1), (2, None), (3, None))] == [
        Interface("gs-tokyo -> sat-0312", f"gs-tokyo:up; {to}", 101, 96),
        Interface("sat-0405 -> gs-tokyo", f"gs-tokyo:up~down; {back}", 101, 96),
        Interface("gs-tokyo -> nobody", "gs-tokyo:up; ground station 10.0.0.1 -> nobody", 101, 96),
        Interface("h1 -> gs-tokyo", "h1:h1-eth0; host 10.9.0.1/8 -> ground station 10.0.0.1", 1, 96),
        Interface("gs-tokyo -> h1", "gs-tokyo:x; ground station 10.0.0.1 -> host 10.9.0.1/8", 1, 96),
    ]
    assert names(NETWORK)[b"\x0a\0\0\1"] == "gs-tokyo"
    assert {name for address, name in names(NETWORK).items() if len(address) == 16} == {"sat-0405"}


@pytest.mark.parametrize(
    ("action", "ends", "text"),
    [
        ({"do": "link-down", "links": ["gs-tokyo:up"]}, [0, 1], "link-down gs-tokyo:up"),
        ({"do": "hold", "links": ["h1:*"]}, [2], "hold h1:*"),
        ({"do": "hold", "nodes": ["h1"]}, [2, 3], "hold h1"),
        ({"do": "crash", "program": "probe", "nodes": ["gs-*"]}, [0, 1, 2, 3], "crash gs-* program probe"),
        ({"do": "crash", "program": "probe"}, [], "crash program probe"),
        ({"do": "partition", "groups": [["gs-*"], ["h*"]]}, [0, 1, 2, 3], "partition gs-* | h*"),
        ({"do": "heal"}, [0, 1, 2, 3], "heal"),
        ({"do": "set", "links": ["*:x"], "loss": 0.1, "up": False}, [3], "set *:x loss 10 % down"),
        ({"do": "set", "links": ["*:x"], "delay_s": None}, [3], "set *:x delay as scheduled"),
    ],
)
def test_what_an_action_concerns_and_says(action, ends, text):
    assert concerned(NETWORK, action, range(4)) == ends
    assert fault(action, 20.0) == f"fault: {text} at 20.000 s"


def test_key_logs_are_followed_line_by_line(tmp_path):
    logs = KeyLogs(tmp_path / "keys")
    assert logs.news() == b""
    (tmp_path / "keys").mkdir()
    file = tmp_path / "keys" / "n0-primary.keys"
    file.write_bytes(b"CLIENT_RANDOM a b\nSERVER")
    (tmp_path / "keys" / "n1-primary.keys").write_bytes(b"OTHER c d\n")
    (tmp_path / "keys" / "readme").write_bytes(b"no key\n")
    assert logs.news() == b"CLIENT_RANDOM a b\nOTHER c d\n"
    assert logs.news() == b""
    with file.open("ab") as more:
        more.write(b"_HANDSHAKE e f\n")
    assert logs.news() == b"SERVER_HANDSHAKE e f\n"
