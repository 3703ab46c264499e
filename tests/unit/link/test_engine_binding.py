"""The engine's interface: what Python and C each think of it, libraries that do not fit, and a network as tables."""

import re
import shutil
import subprocess
from ctypes import POINTER, c_double, c_int32, cast, sizeof, string_at
from dataclasses import replace
from math import inf
from pathlib import Path

import numpy as np
import pytest
from oracle.effects import Impairments

from emulator.link.engine import binding, structures
from emulator.link.engine.binding import expected_layout, load
from emulator.link.engine.header import headers
from emulator.link.engine.structures import EndFlag, EngineAddress, EngineEnd, EnginePort, field_of_column
from emulator.link.engine.tables import MemoryPort, cells, memory_ports, tables
from emulator.model.errors import EXIT_PLATFORM, EmulationError, PlatformError
from emulator.model.network import (
    Effects,
    EndSpec,
    GilbertElliott,
    LinkSpec,
    Network,
    NodeSpec,
    PiecewiseSchedule,
    ScheduleRow,
    SubstepSpec,
    SubstepTables,
)
from emulator.schedule.ring import RowRing
from emulator.schedule.row_layout import COLUMNS

SOURCES = Path(binding.__file__).parent
ROOM = {"small_slots": 64, "large_slots": 4, "handover_bytes": 65536}
needs_compiler = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler (cc) is installed")


# --- the library ------------------------------------------------------------------------------------------------------


def build(folder, header=None, without=()):
    """A library of layout.c and of empty functions for all else, made of structures.h or of another header."""
    shutil.copy(SOURCES / "abi.h", folder)
    (folder / "structures.h").write_text(header or (SOURCES / "structures.h").read_text())
    shutil.copy(SOURCES / "layout.c", folder)
    there = {"engine_layout", "engine_built_with", *without}
    stubs = [
        f"ENGINE_API void {name}(void);\nvoid {name}(void) {{}}" for name in binding.PROTOTYPES if name not in there
    ]
    define = '#define ENGINE_API __attribute__((visibility("default")))\n'
    (folder / "stubs.c").write_text(define + "\n".join(stubs))
    path = folder / "libengine.so"
    flags = ["-std=c11", "-fPIC", "-shared", "-fvisibility=hidden"]
    subprocess.run(["cc", *flags, "layout.c", "stubs.c", "-o", path], cwd=folder, check=True)
    return path


@needs_compiler
def test_a_library_of_these_sources_fits(tmp_path):
    found = load(build(tmp_path))
    assert found.engine_built_with() == b"unknown"
    assert found.engine_layout(None, 0) == len(expected_layout())


@needs_compiler
@pytest.mark.parametrize(
    ("text", "instead", "told"),
    [
        ("#define ENGINE_ABI 1", "#define ENGINE_ABI 2", "ENGINE_ABI is 2, expected 1"),
        ("double jitter_s;", "double wider, jitter_s;", "sizeof(engine_end) is 128, expected 120"),
        ("int32_t dest, hops;\n    uint32_t size;", "int32_t hops, dest;\n    uint32_t size;",
         "offset of engine_delivery.dest is 20, expected 16"),
        ("SENT_CELLS 16", "SENT_CELLS 24", "SENT_CELLS is 24, expected 16"),
        ("#define TAPS 32", "#define TAPS 64", "TAPS is 64, expected 32"),
    ],
)  # fmt: skip
def test_a_library_of_another_layout_is_refused(tmp_path, text, instead, told):
    header = (SOURCES / "structures.h").read_text()
    assert text in header
    path = build(tmp_path, header.replace(text, instead))
    with pytest.raises(PlatformError) as caught:
        load(path)
    assert told in str(caught.value)
    assert str(path) in str(caught.value)
    assert "make setup" in str(caught.value)
    assert caught.value.exit_code == EXIT_PLATFORM


@needs_compiler
def test_a_library_without_a_function_is_refused(tmp_path):
    with pytest.raises(PlatformError, match="it has no engine_gate"):
        load(build(tmp_path, without=["engine_gate"]))


def test_a_missing_library_is_named_with_its_remedy(tmp_path, monkeypatch):
    path = tmp_path / "none.so"
    monkeypatch.setenv("SKYLOOM_ENGINE", str(path))
    binding.library.cache_clear()
    try:
        with pytest.raises(PlatformError) as caught:
            binding.library()
    finally:
        binding.library.cache_clear()
    for part in (str(path), "SKYLOOM_ENGINE", "make setup", "pip install -e ."):
        assert part in str(caught.value)


def test_a_file_that_is_no_library_is_refused(tmp_path):
    path = tmp_path / "libengine.so"
    path.write_text("text")
    with pytest.raises(PlatformError, match="does not load"):
        load(path)


def test_the_library_lies_beside_the_binding(monkeypatch):
    monkeypatch.delenv("SKYLOOM_ENGINE", raising=False)
    assert binding.library_path() == SOURCES / "libengine.so"


# --- the headers, read as text: what sizes and offsets alone do not tell ----------------------------------------------


def header():
    text = (SOURCES / "structures.h").read_text() + (SOURCES / "abi.h").read_text()
    return re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)


def fields(body):
    return [re.sub(r"\[.*?\]|\*", "", name).split()[-1] for line in body.split(";") for name in line.split(",")
            if name.strip()]  # fmt: skip


def test_structures_have_the_fields_of_the_header_in_its_order():
    found = {name: fields(body) for body, name in re.findall(r"typedef struct \{(.*?)\} (\w+);", header(), re.DOTALL)}
    assert found == {name: [field[0] for field in kind._fields_] for name, kind in structures.STRUCTURES.items()}


def test_enumerations_have_the_values_of_the_header():
    values = {}
    for body in re.findall(r"enum \{(.*?)\}", header(), re.DOTALL):
        number = -1
        for part in body.split(","):
            name, _, given = part.partition("=")
            number = int(given) if given else number + 1
            values[name.strip()] = number
    ours = {f"END_{flag.name}": flag for flag in structures.EndFlag}
    ours |= {f"SENT_{cell.name}": cell for cell in structures.Sent}
    ours |= {f"RECEIVED_{cell.name}": cell for cell in structures.Received}
    ours |= {f"CAUSE_{cause.name}": cause for cause in structures.Cause}
    ours |= {f"RECORD_{kind.name}": kind for kind in structures.Record}
    ours |= {f"ORDER_{kind.name}": kind for kind in structures.OrderKind}
    ours |= {f"VALUE_{value.name}": value for value in structures.Value}
    assert values == ours


@pytest.mark.parametrize("name", ["structures.h", "row_columns.h"])
def test_headers_are_what_the_descriptions_give(name):
    """If this fails, run `python -m emulator.link.engine.header` and make the engine again."""
    assert (SOURCES / name).read_text() == headers()[name]


def test_columns_of_rows_have_types_of_their_size_and_a_place_in_the_configuration():
    sizes = {"int64_t": 8, "double": 8, "int32_t": 4, "uint8_t": 1}
    for column in COLUMNS:
        assert column.name == "handovers" or sizes[column.c_type] == column.dtype.itemsize
    fields = [name for name, _ in structures.EngineConfig._fields_ if name.startswith("at_")]
    assert fields == [field_of_column(column.name) for column in COLUMNS if column.name != "handovers"]


def test_prototypes_name_the_functions_of_the_header_with_their_arguments():
    found = {}
    for name, arguments in re.findall(r"^ENGINE_API .*?(\w+)\((.*?)\);", header(), re.DOTALL | re.MULTILINE):
        found[name] = 0 if arguments == "void" else arguments.count(",") + 1
    assert found == {name: len(prototype) - 1 for name, prototype in binding.PROTOTYPES.items()}


# --- tables -----------------------------------------------------------------------------------------------------------


class Steps:
    step_s = 2.0
    rates = None
    substep = SubstepSpec(np.array([2, 3], np.int32), 4)

    def rows(self, first, count):
        raise AssertionError("tables need no rows")


BUSY = Effects(
    queue_bytes=9000.0, queue_s=0.5, head_drop=True, burst_loss=GilbertElliott(0.1, 0.2, 0.3, 0.4), jitter_s=0.01,
    reorder=True, duplicate=0.05, corrupt=0.06, hold_when_down=True,
)  # fmt: skip
KNOTS = PiecewiseSchedule(
    *(np.array(c) for c in ([0.0, 1.0], [0.1, 0.2], [1e6, inf], [0.0, 0.5], [True, False])), period_s=3.0
)
NODES = (
    NodeSpec("sat0", "satellite", False, "10.1.0.1", forwards=True, shared_downlink=True),
    NodeSpec("sat1", "satellite", True, "10.1.0.2", "fd00::2", forwards=True, shared_downlink=True),
    NodeSpec("gs-a", "ground station", True, "10.2.0.1"),
    NodeSpec("host", "host", True, "", "fd00::4"),
)
LINKS = (
    LinkSpec("sat0:isl0", 0, 1, "isl0", "isl1", EndSpec(BUSY, KNOTS), EndSpec(Effects(), KNOTS)),
    LinkSpec("gs-a:up", 2, 0, "up", "down", moving=True),
    LinkSpec("sat1:e", 1, 3, "e", "e", EndSpec(schedule=PiecewiseSchedule.constant(0.001)), ethernet=True),
)
NETWORK = Network(NODES, LINKS, Steps())


def ring_of(network):
    return RowRing(2 * len(network.links), len(network.nodes), len(network.live), 4, network.substep)


def made(network=NETWORK, ring=None, **more):
    return tables(network, memory_ports(network), ring or ring_of(network), 11, **ROOM | more)


def ends_of(found):
    return cast(found.config.end, POINTER(EngineEnd))


def test_ends_carry_effects_flags_and_places():
    found = made()
    ends = ends_of(found)
    busy = ends[0]
    assert (busy.queue_bytes, busy.queue_packets, busy.queue_s) == (9000.0, inf, 0.5)
    assert (busy.jitter_s, busy.duplicate, busy.corrupt) == (0.01, 0.05, 0.06)
    assert (busy.good_to_bad, busy.bad_to_good, busy.loss_good, busy.loss_bad) == (0.1, 0.2, 0.3, 0.4)
    assert busy.flags == EndFlag.HEAD_DROP | EndFlag.HOLD_WHEN_DOWN | EndFlag.OVERTAKING | EndFlag.BURST_LOSS
    assert (ends[1].queue_bytes, ends[1].flags) == (inf, 0)
    assert ends[2].flags == ends[3].flags == EndFlag.MOVING
    assert ends[4].flags == ends[5].flags == EndFlag.ETHERNET
    assert [(ends[n].sender, ends[n].far) for n in range(6)] == [(0, 1), (1, 0), (2, 0), (0, 2), (1, 3), (3, 1)]


def test_equal_knot_objects_share_their_place():
    found = made()
    ends = ends_of(found)
    assert [ends[n].first_knot for n in range(6)] == [0, 0, -1, -1, 2, -1]
    assert [ends[n].knot_count for n in range(6)] == [2, 2, 0, 0, 1, 0]
    assert [ends[n].period_s for n in range(6)] == [3.0, 3.0, inf, inf, inf, inf]
    column = cast(found.config.knot_delay_s, POINTER(c_double))
    assert column[:3] == [0.1, 0.2, 0.001]
    assert string_at(found.config.knot_up, 3) == b"\1\0\1"


def test_only_ends_that_follow_rows_have_finer_tables():
    ends = ends_of(made())
    assert [ends[n].substep for n in range(6)] == [-1, -1, 0, 1, -1, -1]
    with_knots = replace(NETWORK, links=(LINKS[0], replace(LINKS[1], forward=EndSpec(schedule=KNOTS)), LINKS[2]))
    ends = ends_of(made(with_knots))
    assert [ends[n].substep for n in range(6)] == [-1, -1, -1, 1, -1, -1]


def test_labels_name_the_streams_that_python_draws_from():
    found = made()
    ends = ends_of(found)
    for number in range(6):
        label = string_at(found.config.labels + ends[number].label, ends[number].label_bytes)
        assert label.decode() == f"11/link/{NETWORK.end_name(number)}/"
    chain = Impairments(BUSY, 11, NETWORK.end_name(0))
    first = chain._stream("loss").random()
    from random import Random

    assert (
        Random(string_at(found.config.labels + ends[0].label, ends[0].label_bytes).decode() + "loss").random() == first
    )


def test_addresses_lead_to_places_in_the_route_table():
    found = made()
    rows = cast(found.config.address, POINTER(EngineAddress))
    seen = {(row.family, bytes(row.bytes)[: 4 if row.family == 4 else 16]): row.dest
            for row in rows[: found.config.addresses]}  # fmt: skip
    assert found.config.dests == 3
    assert seen == {
        (4, bytes([10, 1, 0, 1])): 3 + 0,  # a transit node
        (4, bytes([10, 1, 0, 2])): 0,
        (4, bytes([10, 2, 0, 1])): 1,
        (6, bytes([0xFD, *[0] * 14, 2])): 0,
        (6, bytes([0xFD, *[0] * 14, 4])): 2,
    }
    assert string_at(found.config.ipv4, 16) == bytes([10, 1, 0, 1, 10, 1, 0, 2, 10, 2, 0, 1, 0, 0, 0, 0])
    assert string_at(found.config.ipv6 + 16, 16) == bytes([0xFD, *[0] * 14, 2])


def test_an_address_of_a_live_node_and_a_transit_node_is_the_live_ones():
    nodes = (replace(NODES[0], ipv4="10.2.0.1"), *NODES[1:])
    found = made(replace(NETWORK, nodes=nodes))
    rows = cast(found.config.address, POINTER(EngineAddress))
    assert [row.dest for row in rows[: found.config.addresses] if bytes(row.bytes)[:4] == bytes([10, 2, 0, 1])] == [1]


def test_hosts_and_stations_do_not_forward():
    found = made()
    assert string_at(found.config.live, 4) == b"\0\1\1\1"
    assert string_at(found.config.may_forward, 4) == b"\1\1\0\0"


@pytest.mark.parametrize(
    ("routing", "static", "transit"),
    [("least-delay", 0, 1), ("static", 1, 0), ("neighbours", 0, 2), ("none", 0, 0)],
)
def test_routing_says_how_transit_nodes_are_reached(routing, static, transit):
    config = made(replace(NETWORK, routing=routing)).config
    assert (config.static_routes, config.transit_routes) == (static, transit)


def test_the_ring_is_found_where_its_layout_says():
    ring = ring_of(NETWORK)
    full = lambda value, kind=np.float64: np.full(6, value, kind)  # noqa: E731
    table = SubstepTables(np.array([2, 0], np.int32), *(np.full((2, 4), n, float) for n in (0.0, 0.5, inf, 0.25)),
                       np.ones((2, 4), bool))  # fmt: skip
    peer = np.array([1, 0, 0, 2, 3, 1], np.int32)
    ring.put(ScheduleRow(0, full(0.01), full(0.02), full(1e6), full(0.1), full(True, bool), peer,
                 np.arange(12, dtype=np.int32).reshape(3, 4), (), table))  # fmt: skip
    config = made(ring=ring).config
    slot = config.ring + config.ring_header_bytes
    assert (config.ring_capacity, config.substep_knots, config.step_s) == (4, 4, 2.0)
    assert cast(slot + config.at_delay_end_s, POINTER(c_double))[:6] == [0.02] * 6
    assert cast(slot + config.at_peer, POINTER(c_int32))[:6] == peer.tolist()
    assert cast(slot + config.at_next_end, POINTER(c_int32))[:12] == list(range(12))
    assert cast(slot + config.at_substep_count, POINTER(c_int32))[:2] == [2, 0]
    assert cast(slot + config.at_substep_loss, POINTER(c_double))[:8] == [0.25] * 8


def test_without_a_ring_every_end_needs_knots():
    with pytest.raises(EmulationError, match="gs-a:up has neither knots nor a timeline"):
        tables(NETWORK, [], None, 1, **ROOM)
    own = EndSpec(schedule=KNOTS)
    network = Network(NODES[:2], (replace(LINKS[0], forward=own, backward=own),))
    config = tables(network, memory_ports(network), None, 1, **ROOM).config
    assert config.ring is None
    assert (config.step_s, config.transit_routes, config.ports) == (inf, 0, 1)


def test_ports_in_memory_are_those_of_a_fabric():
    assert memory_ports(NETWORK) == [
        MemoryPort(1, 1), MemoryPort(2, 2), MemoryPort(1, 4, True), MemoryPort(3, 5, True), MemoryPort(1, -1),
    ]  # fmt: skip
    found = made()
    ports = cast(found.config.port, POINTER(EnginePort))
    assert [(port.fd, port.node, port.end, port.ethernet) for port in ports[: found.config.ports]] == [
        (-1, 1, 1, 0), (-1, 2, 2, 0), (-1, 1, 4, 1), (-1, 3, 5, 1), (-1, 1, -1, 0),
    ]  # fmt: skip


def test_lanes_must_be_named_for_each_node():
    assert string_at(made(lanes=2, lane_of_node=[0, 1, 0, 1]).config.lane_of_node, 16)[::4] == b"\0\1\0\1"
    for wrong in ([0, 1], [0, 0, 0, 2], [0, 0, 0, -1]):
        with pytest.raises(ValueError, match="one lane from 0 to 1"):
            made(lanes=2, lane_of_node=wrong)


def test_counters_begin_with_a_cache_line():
    for shape in ((3, 16), (2, 5, 8)):
        found = cells(shape)
        assert found.shape == shape
        assert found.ctypes.data % 64 == 0
        assert not found.any()
    assert sizeof(c_double) * 16 % 64 == 0
