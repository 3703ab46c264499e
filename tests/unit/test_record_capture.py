"""The relay's capture records as pcapng."""

import io
import resource
import subprocess
import sys
import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.link.capture import RECORD
from emulator.link.stats import EndStats
from emulator.network import LinkSpec, Network, NodeSpec
from emulator.record.capture import DROPPED, CaptureConverter, CaptureFile, interfaces
from emulator.record.folder import RunFolder
from emulator.record.links import CAUSES
from emulator.record.pcapng import Interface

pcapng = pytest.importorskip("pcapng")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:pcapng.*")

DATAGRAM = bytes.fromhex("4500002000010000401166ca0a0000010a00000200010002000c000061626364")
T0_NS = 1_795_458_607_000_000_000
ENDS = {4: Interface("gs-tokyo:up", "gs-tokyo -> sat-0312"), 9: Interface("sat-0312:e", "sat-0312 -> sat-0313")}


def record(left_s=1.0, end=4, cause=0, lost=0, data=DATAGRAM, original=0):
    left_ns = round(left_s * 1e9)
    return RECORD.pack(len(data), left_ns, left_ns, end, cause, lost, original or len(data)) + data


def blocks(data):
    return list(pcapng.FileScanner(io.BytesIO(data)))


def test_records_become_packets_of_their_interface():
    out = io.BytesIO()
    converter = CaptureConverter(out.write, ENDS, T0_NS, "run 7f3a, seed 7")
    assert len(blocks(out.getvalue())) == 3  # a reader sees the interfaces before the first packet
    converter.feed(record(1.5) + record(2.25, end=9, data=DATAGRAM[:20], original=32))
    converter.finish()
    section, up, east, first, second, *statistics = blocks(out.getvalue())
    assert section.options["opt_comment"] == "run 7f3a, seed 7"
    assert (up.options["if_name"], up.options["if_description"]) == ("gs-tokyo:up", "gs-tokyo -> sat-0312")
    assert east.options["if_name"] == "sat-0312:e"
    assert (first.interface_id, first.packet_data, first.packet_len) == (0, DATAGRAM, 32)
    assert first.timestamp_high << 32 | first.timestamp_low == T0_NS + 1_500_000_000
    assert (second.interface_id, second.packet_data, second.packet_len) == (1, DATAGRAM[:20], 32)
    assert [block.interface_id for block in statistics] == [0, 1]
    assert (converter.packets, converter.dropped, converter.missed) == (2, 0, 0)


def test_every_drop_cause_is_a_comment():
    assert {f"DROP_{cause.upper()}" for cause in CAUSES} == {cause.name for cause in DROPPED}
    out = io.BytesIO()
    converter = CaptureConverter(out.write, ENDS, T0_NS)
    for cause in DROPPED:
        converter.feed(record(cause=int(cause)))
    converter.finish()
    found = blocks(out.getvalue())
    assert [block.options["opt_comment"] for block in found[3:9]] == list(DROPPED.values())
    assert found[9].options["isb_ifdrop"] == len(DROPPED) == converter.dropped


def test_what_the_tee_left_out_is_said_where_it_is_missing():
    out = io.BytesIO()
    converter = CaptureConverter(out.write, {4: ENDS[4]}, T0_NS)
    converter.feed(record() + record(lost=3) + record(lost=3, cause=int(EndStats.DROP_QUEUE)) + record(lost=4, cause=5))
    converter.finish(missed=6)
    found = blocks(out.getvalue())
    assert [block.options.get_all("opt_comment") for block in found[2:6]] == [
        [],
        ["packets missing before this one: 3"],
        ["dropped: queue full"],
        ["packets missing before this one: 1; dropped: random loss"],
    ]
    assert found[6].options["isb_osdrop"] == 6


@given(st.lists(st.integers(0, 200), max_size=8), st.lists(st.integers(1, 60), min_size=1))
def test_stream_may_be_cut_anywhere(sizes, cuts):
    stream = b"".join(record(number, data=bytes(size)) for number, size in enumerate(sizes))
    out = io.BytesIO()
    converter = CaptureConverter(out.write, ENDS, T0_NS)
    at = 0
    while at < len(stream):
        cut = cuts[at % len(cuts)]
        converter.feed(stream[at : at + cut])
        at += cut
    assert [len(block.packet_data) for block in blocks(out.getvalue())[3:]] == sizes


def test_names_of_link_ends():
    nodes = (
        NodeSpec("gs-tokyo", "ground station", True), NodeSpec("sat-0312", "satellite", False),
        NodeSpec("h1", "host", True),
    )  # fmt: skip
    links = (
        LinkSpec("gs-tokyo:up", 0, 1, "up", "down", moving=True),
        LinkSpec("h1:h1-eth0", 2, 0, "h1-eth0", "x", ethernet=True),
    )  # fmt: skip
    assert interfaces(Network(nodes, links), [0, 1, 2, 3], 96) == {
        0: Interface("gs-tokyo:up", "gs-tokyo -> satellite in view (first sat-0312)", 101, 96),
        1: Interface("gs-tokyo:up~down", "satellite in view (first sat-0312) -> gs-tokyo", 101, 96),
        2: Interface("h1:h1-eth0", "h1 -> gs-tokyo", 1, 96),
        3: Interface("gs-tokyo:x", "gs-tokyo -> h1", 1, 96),
    }


def test_file_of_the_run_folder(tmp_path):
    folder = RunFolder.create(tmp_path, "leo")
    capture = CaptureFile(folder, ENDS, T0_NS)
    capture.feed(record())
    assert len(blocks(capture.path.read_bytes())) == 4
    capture.close(missed=2)
    assert len(blocks((folder.path / "capture.pcapng").read_bytes())) == 6
    assert folder.warnings == ["capture.pcapng: 2 packets are missing, the capture was too slow"]


def test_file_size_limit_leaves_whole_blocks_and_a_warning(tmp_path):
    program = textwrap.dedent("""
        import resource, sys
        from pathlib import Path
        from emulator.link.capture import RECORD
        from emulator.record.capture import CaptureFile
        from emulator.record.folder import RunFolder
        from emulator.record.pcapng import Interface
        folder = RunFolder.create(Path(sys.argv[1]), "leo", run_id="a")
        capture = CaptureFile(folder, {4: Interface("a:b")}, 0)
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_001, 200_001))
        for number in range(1000):
            capture.feed(RECORD.pack(1000, number, number, 4, 0, 0, 1000) + bytes(1000))
        capture.close()
        print(*folder.warnings, sep="\\n")
    """)
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, timeout=60, check=True
    )
    assert resource.getrlimit(resource.RLIMIT_FSIZE) == limit
    assert done.stdout.splitlines() == ["capture.pcapng stopped: File too large; the run goes on without"]
    (path,) = tmp_path.glob("leo/*-a/capture.pcapng")
    assert len(blocks(path.read_bytes())) > 150
