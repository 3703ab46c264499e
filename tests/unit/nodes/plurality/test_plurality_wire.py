"""Golden bytes and refusals of the plurality messages."""

from __future__ import annotations

import pytest

from nodes.plurality.wire import Query, Reply, decode


def test_golden_bytes():
    query = bytes.fromhex("536b794f 01000000 00000003 0000002a 00000007 00000009")
    reply = bytes.fromhex("536b794f 02000000 00000003 0000002a 00000007 00000009 00000001")
    assert Query(3, 42, 7, 9).encode() == query
    assert Reply(3, 42, 7, 9, 1).encode() == reply
    assert decode(query) == Query(3, 42, 7, 9)
    assert decode(reply) == Reply(3, 42, 7, 9, 1)


@pytest.mark.parametrize(
    ("data", "field"),
    [
        (b"", "length"),
        (Query(1, 2, 3, 4).encode() + b"\0", "length"),
        (Reply(1, 2, 3, 4, 5).encode()[:-1], "length"),
        (b"SkyP" + Query(1, 2, 3, 4).encode()[4:], "magic"),
        (b"SkyO\x02" + Query(1, 2, 3, 4).encode()[5:], "kind"),
        (b"SkyO\x01" + Reply(1, 2, 3, 4, 5).encode()[5:], "kind"),
        (b"SkyO\x01\0\x01\0" + Query(1, 2, 3, 4).encode()[8:], "kind"),
    ],
)
def test_refusals_name_the_field(data, field):
    with pytest.raises(ValueError, match=f"^message: {field} .*expected"):
        decode(data)
