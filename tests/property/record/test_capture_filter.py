"""Capture filters: every tree can be written and read back, every text gives a tree or an error that points, and what a
filter says of a packet is what its parts say."""

import ipaddress
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.model.network import LinkSpec, Network, NodeSpec
from emulator.record.packet_comments import interface
from emulator.record.packet_filter import NOTHING, Filter, fields, may_pass, resolve
from emulator.record.pcapng import LINKTYPE_ETHERNET, Interface
from emulator.scenario.schema import filters
from emulator.scenario.schema.filters import MOST_NESTED, parse, text

NODES = (
    NodeSpec("gs-tokyo", "ground station", True, "10.0.0.1", "fc00::1"),
    NodeSpec("sat-1", "satellite", False, "10.1.0.1"),
    NodeSpec("sat-2", "satellite", False, "10.2.0.1"),
    NodeSpec("h1", "host", True, "10.0.0.9"),
)
NETWORK = Network(
    NODES,
    (
        LinkSpec("gs-tokyo:up", 0, 1, "up", "down", moving=True),
        LinkSpec("sat-1:e", 1, 2, "e", "w"),
        LinkSpec("h1:eth0", 3, 0, "eth0", "lan", a_address="10.5.0.1/8"),
    ),
)
LEAVES = st.one_of(
    st.tuples(st.just("host"), st.sampled_from(["gs-tokyo", "h1", "sat-*", "10.0.0.1", "fc00::1", "10.9.9.9"])),
    st.tuples(st.just("port"), st.sampled_from([0, 53, 8000, 65535])),
    st.tuples(st.just("proto"), st.sampled_from(["tcp", "udp", "icmp"])),
    st.tuples(st.just("node"), st.sampled_from(["gs-tokyo", "sat-2", "h*"])),
    st.tuples(st.just("link"), st.sampled_from(["gs-tokyo:up", "sat-2:w", "*:eth0"])),
)
TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(st.tuples(st.just("not"), inner), st.tuples(st.sampled_from(["and", "or"]), inner, inner)),
    max_leaves=12,
)


@given(TREES)
def test_a_tree_written_as_text_reads_back(tree):
    assert parse(text(tree)) == tree


@given(
    st.text(max_size=60)
    | st.lists(st.sampled_from(["host", "a", "port", "80", "and", "or", "not", "(", ")"])).map(" ".join)
)
def test_any_text_is_a_tree_or_an_error_that_points(words):
    try:
        tree = parse(words)
    except ValueError as error:
        found = str(error)
    else:
        assert list(filters.tests(tree))
        assert parse(text(tree)) == tree
        return
    assert re.search(r"(at character \d+ of|^the end of) .*; expected ", found, re.DOTALL)


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ("", "the end of ''; expected host, port, proto, node, link, not or '('"),
        ("host", "the end of 'host'; expected the name or address of a node"),
        ("host and", "'and' at character 6 of 'host and'; expected the name or address of a node"),
        ("hots a", "'hots' at character 1 of 'hots a'; expected host, port, proto, node, link, not or '('"),
        ("port 80000", "'80000' at character 6 of 'port 80000'; expected a port of 0 to 65535"),
        ("proto sctp", "'sctp' at character 7 of 'proto sctp'; expected tcp, udp or icmp"),
        ("host a port 8", "'port' at character 8 of 'host a port 8'; expected and, or, or the end"),
        ("(host a", "the end of '(host a'; expected and, or, or ')'"),
        ("(" * 60, f"'(' at character {MOST_NESTED + 1} of"),
    ],
)
def test_errors_point(words, error):
    with pytest.raises(ValueError, match="expected") as refused:
        parse(words)
    assert str(refused.value).startswith(error)


def test_and_binds_more_than_or():
    assert parse("host a or not port 1 and proto udp") == (
        "or", ("host", "a"), ("and", ("not", ("port", 1)), ("proto", "udp")),
    )  # fmt: skip


def packet(protocol: int, source: str, target: str, ports: tuple[int, int] = (1, 2), fragment: int = 0) -> bytes:
    one, other = ipaddress.ip_address(source).packed, ipaddress.ip_address(target).packed
    body = ports[0].to_bytes(2, "big") + ports[1].to_bytes(2, "big") + bytes(16)
    if len(one) == 4:
        head = bytes((0x45, 0, 0, 40, 0, 0)) + fragment.to_bytes(2, "big") + bytes((64, protocol, 0, 0))
        return head + one + other + body
    if fragment:
        body = bytes((protocol, 0)) + (fragment << 3).to_bytes(2, "big") + bytes(4) + body
    return bytes((0x60, 0, 0, 0, 0, 20, 44 if fragment else protocol, 64)) + one + other + body


def test_fields_of_packets():
    udp = packet(17, "10.0.0.1", "10.0.0.9", (4242, 53))
    assert fields(udp) == (17, b"\x0a\0\0\1", b"\x0a\0\0\x09", 4242, 53)
    assert fields(bytes(12) + b"\x08\0" + udp, ethernet=True) == fields(udp)
    assert fields(bytes(12) + b"\x81\0\0\1\x08\0" + udp, ethernet=True) == fields(udp)
    assert fields(bytes(12) + b"\x08\x06" + bytes(28), ethernet=True) == NOTHING
    assert fields(packet(6, "fc00::1", "fc00::2", (7, 8)))[3:] == (7, 8)
    assert fields(packet(17, "10.0.0.1", "10.0.0.9", fragment=3))[3:] == (-1, -1)
    assert fields(packet(17, "fc00::1", "fc00::2", fragment=3))[::4] == (17, -1)
    assert fields(packet(58, "fc00::1", "fc00::2"))[3:] == (-1, -1)


@given(st.binary(max_size=80), st.booleans(), TREES)
def test_no_bytes_make_it_raise(data, ethernet, tree):
    assert len(fields(data, ethernet)) == 5
    face = Interface("gs-tokyo -> sat-1", linktype=LINKTYPE_ETHERNET if ethernet else 101)
    assert Filter(resolve_or_skip(tree))(0, face, data) in (True, False)


def resolve_or_skip(tree):
    """A tree whose names all exist (10.9.9.9 is an address, not a name)."""
    return resolve(tree, NETWORK)


PACKETS = st.builds(
    packet, st.sampled_from([1, 6, 17, 58, 89]), st.sampled_from(["10.0.0.1", "10.0.0.9", "10.1.0.1"]),
    st.sampled_from(["10.0.0.1", "10.5.0.1", "10.9.9.9"]), st.tuples(st.sampled_from([53, 8000]), st.integers(0, 9)),
)  # fmt: skip


@given(TREES, PACKETS, st.integers(0, 5), st.sampled_from([1, 2, -1]))
def test_a_filter_is_what_its_parts_say_and_narrowing_never_loses_a_packet(tree, data, end, far):
    face = interface(NETWORK, end, far if NETWORK.links[end // 2].moving else None)
    taken = Filter(resolve(tree, NETWORK))(end, face, data)

    def expected(part):
        match part:
            case ("not", inner):
                return not expected(inner)
            case ("and", one, other):
                return expected(one) and expected(other)
            case ("or", one, other):
                return expected(one) or expected(other)
            case leaf:
                return Filter(resolve(leaf, NETWORK))(end, face, data)

    assert taken == expected(tree)
    if taken:
        assert may_pass(resolve(tree, NETWORK), NETWORK, end)


def test_links_and_nodes_narrow_what_is_captured():
    def ends(words):
        return [end for end in range(6) if may_pass(resolve(parse(words), NETWORK), NETWORK, end)]

    assert ends("link gs-tokyo:up") == [0, 1]
    assert ends("node h1") == [0, 1, 4, 5]  # a moving link may lead anywhere
    assert ends("node h1 and not link gs-tokyo:up") == [4, 5]
    assert ends("node gs-tokyo and port 53") == [0, 1, 4, 5]
    assert ends("port 53") == [0, 1, 2, 3, 4, 5]


def test_names_that_match_nothing_are_refused():
    with pytest.raises(
        ValueError, match="host 'gs-tokio', which matches nothing; expected the name or address of a node"
    ):
        resolve(parse("proto tcp and host gs-tokio"), NETWORK)
