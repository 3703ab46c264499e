"""Whatever is written as pcapng is read back, by a reader of our own here and by two foreign ones where installed."""

import io
import shutil
import subprocess
from struct import unpack, unpack_from

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.record.pcapng import LINKTYPE_ETHERNET, LINKTYPE_RAW, Interface, PcapngWriter

SECTION, INTERFACE, STATISTICS, PACKET, SECRETS = 0x0A0D0D0A, 1, 5, 6, 10
TEXTS = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=40)
INTERFACES = st.builds(
    Interface,
    name=TEXTS.filter(bool),
    description=TEXTS,
    linktype=st.sampled_from([LINKTYPE_RAW, LINKTYPE_ETHERNET]),
    snaplen=st.sampled_from([0, 96, 65535]),
    speed_bps=st.integers(0, 2**63),
)
PACKETS = st.lists(
    st.tuples(
        st.integers(0, 3), st.integers(0, 2**62), st.binary(max_size=70), st.integers(0, 9000), TEXTS,
    ),
    max_size=12,
)  # fmt: skip


def options(body: bytes) -> dict[int, bytes]:
    found, offset = {}, 0
    while offset < len(body):
        code, length = unpack_from("<HH", body, offset)
        if code == 0:
            assert (length, offset + 4) == (0, len(body))
            break
        found[code] = body[offset + 4 : offset + 4 + length]
        padding = body[offset + 4 + length : offset + 4 + length + -length % 4]
        assert not any(padding)
        offset += 4 + length + -length % 4
    return found


def blocks(data: bytes) -> list[tuple[int, bytes]]:
    found, offset = [], 0
    while offset < len(data):
        kind, length = unpack_from("<II", data, offset)
        assert length % 4 == 0
        assert unpack_from("<I", data, offset + length - 4) == (length,)
        found.append((kind, data[offset + 8 : offset + length - 4]))
        offset += length
    assert offset == len(data)
    return found


def text(found: dict[int, bytes], code: int) -> str:
    return found.get(code, b"").decode()


def written(comment, interfaces, packets, statistics=()):
    parts: list[bytes] = []
    writer = PcapngWriter(parts.append, comment=comment, application="skyloom", os="Linux")
    numbers = [writer.interface(interface) for interface in interfaces]
    assert numbers == list(range(len(interfaces)))
    for number, at_ns, data, length, note in packets:
        writer.packet(number, at_ns, data, length, note)
    for row in statistics:
        writer.statistics(*row)
    assert all(len(blocks(part)) == 1 for part in parts)
    return b"".join(parts)


@given(TEXTS, st.lists(INTERFACES, min_size=4, max_size=4), PACKETS)
def test_read_back(comment, interfaces, packets):
    data = written(comment, interfaces, packets, [(3, 2**40, 2**62, 2**50, 7, 1)])
    section, *rest = blocks(data)
    assert section[0] == SECTION
    assert unpack_from("<IHHq", section[1]) == (0x1A2B3C4D, 1, 0, -1)
    assert text(options(section[1][16:]), 1) == comment
    for interface, (kind, body) in zip(interfaces, rest, strict=False):
        found = options(body[8:])
        assert kind == INTERFACE
        assert unpack_from("<HHI", body) == (interface.linktype, 0, interface.snaplen)
        assert (text(found, 2), text(found, 3), found[9]) == (interface.name, interface.description, b"\x09")
        assert int.from_bytes(found.get(8, b""), "little") == interface.speed_bps
    for packet, (kind, body) in zip(packets, rest[4:-1], strict=True):
        number, at_ns, payload, length, note = packet
        assert kind == PACKET
        read, high, low, captured, original = unpack_from("<IIIII", body)
        assert (read, high << 32 | low, captured) == (number, at_ns, len(payload))
        assert original == max(length, len(payload))
        assert body[20 : 20 + captured] == payload
        found = options(body[20 + captured + -captured % 4 :])
        assert (text(found, 1), found[2]) == (note, b"\x02\0\0\0")
    kind, body = rest[-1]
    found = options(body[12:])
    assert (kind, unpack_from("<I", body)) == (STATISTICS, (3,))
    assert [unpack("<Q", found[code])[0] for code in (4, 5, 7)] == [2**50, 7, 1]
    high, low = unpack("<II", found[2])
    assert high << 32 | low == 2**40


@given(st.binary(max_size=50))
def test_secrets(secret):
    parts: list[bytes] = []
    PcapngWriter(parts.append).secrets(secret)
    ((kind, body),) = blocks(parts[-1])
    assert (kind, *unpack_from("<II", body)) == (SECRETS, 0x544C534B, len(secret))
    assert body[8 : 8 + len(secret)] == secret


def test_too_long_a_comment_is_cut_at_a_whole_character():
    data = written("é" * 40_000, [], [])
    ((_, body),) = blocks(data)
    comment = text(options(body[16:]), 1)
    assert comment == "é" * 32767


def test_packet_on_an_unknown_interface_is_refused():
    writer = PcapngWriter(lambda data: None)
    with pytest.raises(IndexError, match="interface 0 is not described"):
        writer.packet(0, 0, b"")


@pytest.mark.filterwarnings("ignore::DeprecationWarning:pcapng.*")
@settings(max_examples=50)
@given(st.lists(INTERFACES, min_size=4, max_size=4), PACKETS)
def test_python_pcapng_reads_it(interfaces, packets):
    pcapng = pytest.importorskip("pcapng")
    found = list(pcapng.FileScanner(io.BytesIO(written("run 7f3a", interfaces, packets))))
    assert found[0].options["opt_comment"] == "run 7f3a"
    assert [block.options["if_name"] for block in found[1:5]] == [interface.name for interface in interfaces]
    for (number, at_ns, payload, length, note), block in zip(packets, found[5:], strict=True):
        assert (block.interface_id, block.packet_data) == (number, payload)
        assert (block.timestamp_high << 32 | block.timestamp_low, block.packet_len) == (
            at_ns,
            max(length, len(payload)),
        )
        assert ([block.options["opt_comment"]] if note else []) == block.options.get_all("opt_comment")


@settings(max_examples=50)
@given(INTERFACES, PACKETS)
def test_dpkt_reads_it(interface, packets):
    dpkt = pytest.importorskip("dpkt")
    packets = [(0, at_ns, payload, length, note) for _, at_ns, payload, length, note in packets]
    reader = dpkt.pcapng.Reader(io.BytesIO(written("run 7f3a", [interface], packets)))
    assert [payload for _, payload in reader] == [packet[2] for packet in packets]


DATAGRAM = bytes.fromhex(
    "4500002000010000401166ca0a0000010a000002000100020 00c0000 61626364".replace(" ", "")
)  # IPv4 10.0.0.1 -> 10.0.0.2, UDP 1 -> 2, "abcd"


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
def test_tshark_reads_it_without_a_complaint(tmp_path):
    interfaces = [
        Interface("gs-tokyo:up", "gs-tokyo -> sat-0312", speed_bps=10**9),
        Interface("h1:eth0", "h1 -> s1", LINKTYPE_ETHERNET, 96),
    ]
    frame = bytes.fromhex("020000000002 020000000001 0800".replace(" ", "")) + DATAGRAM
    path = tmp_path / "a.pcapng"
    at_ns = 1_795_458_607_123_456_789
    packets = [
        (0, at_ns, DATAGRAM, 0, "dropped: queue"), (1, at_ns + 1, frame, 1500, ""), (0, at_ns + 2, DATAGRAM, 0, ""),
    ]  # fmt: skip
    path.write_bytes(written("run 7f3a, seed 7", interfaces, packets, [(0, at_ns, at_ns + 9, 2, 1), (1, 0, 9, 1, 0)]))
    fields = ("frame.interface_name", "frame.interface_description", "frame.time_epoch", "frame.comment", "ip.dst",
              "frame.len", "frame.p2p_dir", "_ws.malformed")  # fmt: skip
    asked = [part for name in fields for part in ("-e", name)]
    done = subprocess.run(
        ["tshark", "-n", "-r", str(path), "-T", "fields", "-E", "separator=|", *asked],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    complaints = [line for line in done.stderr.splitlines() if line and "Running as user" not in line]
    assert complaints == []
    assert done.stdout.splitlines() == [
        "gs-tokyo:up|gs-tokyo -> sat-0312|1795458607.123456789|dropped: queue|10.0.0.2|32|0|",
        "h1:eth0|h1 -> s1|1795458607.123456790||10.0.0.2|1500|0|",
        "gs-tokyo:up|gs-tokyo -> sat-0312|1795458607.123456791||10.0.0.2|32|0|",
    ]
