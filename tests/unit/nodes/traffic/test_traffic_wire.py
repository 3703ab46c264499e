"""Wire formats of the traffic programs: golden bytes, round trips, refusals."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodes.traffic.wire import LARGEST_TRANSFER_BYTES, PROBE_BYTES, Greeting, Probe, Request

TIMES = st.integers(-(2**63), 2**63 - 1)

GOLDEN = [
    (
        Probe(7, 1_000_000_000, 1_020_000_000, 1_020_000_500, echo=True),
        "536b795001000000" "0000000000000007" "000000003b9aca00" "000000003ccbf700" "000000003ccbf8f4",
    ),
    (Probe(1, -5), "536b795000000000" "0000000000000001" "fffffffffffffffb" "0000000000000000" "0000000000000000"),
    (Greeting(3), "536b794200000003"),
    (Request(200, 20_000), "536b7952000000c800004e20"),
]  # fmt: skip


@pytest.mark.parametrize(("message", "expected"), GOLDEN)
def test_golden_bytes(message, expected):
    assert message.encode().hex() == expected
    assert type(message).decode(bytes.fromhex(expected)) == message


@given(st.integers(0, 2**64 - 1), TIMES, TIMES, TIMES, st.booleans(), st.integers(PROBE_BYTES, 1500))
def test_probe_round_trip(sequence, sent, received, echoed, echo, size):
    probe = Probe(sequence, sent, received, echoed, echo)
    data = probe.encode(size)
    assert len(data) == size
    assert Probe.decode(data) == probe


@given(st.binary(max_size=100))
def test_rubbish_is_refused_or_is_a_message(data):
    for kind in (Probe, Greeting, Request):
        try:
            message = kind.decode(data)
        except ValueError:
            continue
        encoded = message.encode(len(data)) if kind is Probe else message.encode()
        assert encoded == data


@pytest.mark.parametrize(
    ("data", "field"),
    [
        (b"", "length"),
        (b"SkyP" + bytes(PROBE_BYTES - 5), "length"),
        (b"SkyX" + bytes(PROBE_BYTES - 4), "magic"),
        (b"SkyP\x02" + bytes(PROBE_BYTES - 5), "kind"),
        (b"SkyP" + bytes(PROBE_BYTES - 4) + b"\x01", "padding"),
    ],
)
def test_a_bad_probe_names_the_field(data, field):
    with pytest.raises(ValueError, match=field):
        Probe.decode(data)


def test_a_request_for_too_much_is_refused():
    with pytest.raises(ValueError, match="response_bytes"):
        Request.decode(Request(0, LARGEST_TRANSFER_BYTES + 1).encode())
