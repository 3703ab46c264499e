"""Capture files of the run folder: limits, rotation, a file a link, a disk that is full."""

import resource
import subprocess
import sys
import textwrap
from math import inf

import pytest
from capture_streams import DATAGRAM, batch, blocks, faces
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.model.network import LinkSpec, Network, NodeSpec
from emulator.record.capture_files import CaptureFiles, Limits
from emulator.record.folder import RunFolder
from emulator.record.packet_comments import interface
from emulator.record.pcapng import TLS_KEY_LOG

pytest.importorskip("pcapng")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:pcapng.*")

NETWORK = Network(
    tuple(NodeSpec(name, "host", True, f"10.0.0.{number}") for number, name in enumerate("abc")),
    (LinkSpec("a:up", 0, 1, "up", "down"), LinkSpec("b:x/y", 1, 2, "x/y", "z")),
)
FACES = {end: interface(NETWORK, end) for end in range(4)}


def files(folder, **options):
    return CaptureFiles(folder, NETWORK, FACES, 0, "run 7f3a", **options)


@pytest.fixture
def folder(tmp_path):
    return RunFolder.create(tmp_path, "leo")


def test_one_file_for_the_run(folder):
    capture = files(folder)
    capture.feed(batch((0.0, 0), (1.0, 3)))
    assert len(blocks((folder.path / "capture.pcapng").read_bytes())) == 7  # whole blocks at any moment
    row = capture.row()
    assert (row["files"], row["packets"], row["missed"], row["ended"]) == (["capture.pcapng"], 2, 0, "")
    assert row["bytes"] == (folder.path / "capture.pcapng").stat().st_size
    capture.close(missed=2)
    assert len(blocks((folder.path / "capture.pcapng").read_bytes())) == 11
    assert folder.warnings == ["capture: 2 packets are missing, the capture was too slow"]


def test_one_file_for_each_link(folder):
    capture = files(folder, per_link=True)
    capture.secrets(b"CLIENT_RANDOM a b\n")
    capture.feed(batch((0.0, 0), (1.0, 3), (2.0, 1)))
    capture.close()
    one, other = folder.path / "capture/a-up.pcapng", folder.path / "capture/b-x-y.pcapng"
    assert sorted((folder.path / "capture").iterdir()) == [one, other]
    assert faces(one.read_bytes()) == ["a -> b", "b -> a"]
    assert faces(other.read_bytes()) == ["c -> b"]
    assert all(b"CLIENT_RANDOM a b\n" in path.read_bytes() for path in (one, other))


def test_the_capture_ends_at_its_limit_of_packets(folder):
    capture = files(folder, limits=Limits(max_packets=2))
    capture.feed(batch((0.0, 0), (1.0, 0), (2.0, 0)))
    capture.feed(batch((3.0, 0)))
    capture.close()
    assert len(faces((folder.path / "capture.pcapng").read_bytes())) == 2
    assert folder.warnings == ["the capture ended at its limit of 2 packets"] == [capture.row()["ended"]]


def test_the_capture_ends_at_its_limit_of_bytes(folder):
    capture = files(folder, limits=Limits(max_bytes=2000))
    for number in range(100):
        capture.feed(batch((number, 0)))
    capture.close()
    assert 2000 <= (folder.path / "capture.pcapng").stat().st_size < 2700  # statistics stand behind it
    assert folder.warnings == ["the capture ended at its size limit of 2000 bytes"]


@pytest.mark.parametrize("limits", [Limits(rotate_bytes=1500, keep=3), Limits(rotate_s=10, keep=3)])
def test_files_rotate_and_each_is_complete_in_itself(folder, limits):
    capture = files(folder, limits=limits)
    capture.secrets(b"CLIENT_RANDOM a b\n")
    for number in range(60):
        capture.feed(batch((number, number % 2)))
    capture.converter.happens(0, 60.0, "", interface(NETWORK, 0, 2))
    capture.feed(batch((60.0, 0), (61.0, 0)))
    capture.close()
    paths = sorted(folder.path.glob("capture-*.pcapng"))
    assert [str(path.name) for path in paths] == capture.row()["files"]
    assert len(paths) == 3
    for path in paths:
        found = blocks(path.read_bytes())
        assert type(found[0]).__name__ == "SectionHeader"
        assert sum(type(block).__name__ == "InterfaceDescription" for block in found) >= 4
        assert faces(path.read_bytes())
        assert b"CLIENT_RANDOM a b\n" in path.read_bytes()
        assert limits.rotate_bytes == inf or path.stat().st_size < 3500  # with names, keys and statistics
    assert faces(paths[-1].read_bytes())[-1] == "a -> c"
    assert int(paths[-1].stem[-4:]) >= 4


@settings(max_examples=40)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.binary(max_size=300)), max_size=40),
    st.booleans(),
    st.sampled_from([inf, 600, 2000]),
    st.sampled_from([inf, 3.0]),
)
def test_nothing_is_lost_or_twice_however_files_are_cut(tmp_path_factory, packets, per_link, rotate_bytes, rotate_s):
    folder = RunFolder.create(tmp_path_factory.mktemp("runs"), "leo")
    capture = files(folder, per_link=per_link, limits=Limits(rotate_bytes=rotate_bytes, rotate_s=rotate_s, keep=1000))
    for number, (end, data) in enumerate(packets):
        capture.feed(batch((number, end, 0, data)))
    capture.close()
    found = []
    for path in folder.path.rglob("*.pcapng"):
        packets_of = (block for block in blocks(path.read_bytes()) if type(block).__name__ == "EnhancedPacket")
        found += [(block.timestamp_high << 32 | block.timestamp_low, block.packet_data) for block in packets_of]
    assert sorted(found) == [(number * 10**9, data) for number, (_, data) in enumerate(packets)]


def test_file_size_limit_of_the_system_leaves_whole_blocks_and_a_warning(tmp_path):
    program = textwrap.dedent("""
        import resource, sys
        from pathlib import Path
        from capture_streams import batch
        from emulator.record.capture_files import CaptureFiles
        from emulator.record.folder import RunFolder
        from emulator.record.pcapng import Interface
        folder = RunFolder.create(Path(sys.argv[1]), "leo", run_id="a")
        capture = CaptureFiles(folder, None, {4: Interface("a -> b")}, 0)
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_001, 200_001))
        for number in range(1000):
            capture.feed(batch((number, 4, 0, bytes(1000))))
        capture.close()
        print(*folder.warnings, sep="\\n")
    """)
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, timeout=60, check=True,
        env={"PYTHONPATH": ":".join(sys.path)},
    )  # fmt: skip
    assert resource.getrlimit(resource.RLIMIT_FSIZE) == limit
    assert done.stdout.splitlines() == ["capture.pcapng stopped: File too large; the run goes on without"]
    (path,) = tmp_path.glob("leo/*-a/capture.pcapng")
    assert len(blocks(path.read_bytes())) > 150


def test_keys_stand_before_the_packets_that_come_after_them(folder):
    capture = files(folder)
    capture.feed(batch((0.0, 0)))
    capture.secrets(b"CLIENT_RANDOM a b\n")
    capture.feed(batch((1.0, 0)))
    capture.close()
    data = (folder.path / "capture.pcapng").read_bytes()
    first = data.index(DATAGRAM)
    assert first < data.index(TLS_KEY_LOG.to_bytes(4, "little")) < data.index(DATAGRAM, first + 1)
