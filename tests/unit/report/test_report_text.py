"""Numbers as people read them."""

from math import inf, nan

import pytest

from emulator.model.printable import aligned
from emulator.report import text


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0, "0"), (None, "-"), (nan, "-"), (inf, "-"), (0.1234, "0.123"), (1.234, "1.23"), (45.67, "45.7"), (789.4, "789"),
     (12345, "12,300"), (-1.234, "-1.23"), (0.00001, "0.000")],
)  # fmt: skip
def test_number(value, expected):
    assert text.number(value) == expected


@pytest.mark.parametrize(
    ("bps", "expected"),
    [(0, "0 bit/s"), (999, "999 bit/s"), (999.6, "1.00 kbit/s"), (45.6e6, "45.6 Mbit/s"), (2.5e9, "2.50 Gbit/s"),
     (9e12, "9,000 Gbit/s"), (None, "-")],
)  # fmt: skip
def test_rate(bps, expected):
    assert text.rate(bps) == expected


def test_size():
    assert [text.size(value) for value in (0, 64, 1500, 342e6, 5e12)] == [
        "0 B",
        "64 B",
        "1.50 kB",
        "342 MB",
        "5.00 TB",
    ]


@pytest.mark.parametrize(
    ("t_s", "expected"),
    [(0, "00:00"), (41.9, "00:41"), (-1.2, "-00:02"), (3723, "1:02:03"), (86400, "24:00:00"), (None, "--:--")],
)
def test_clock(t_s, expected):
    assert text.clock(t_s) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0.42, "0.42 s"), (12, "12 s"), (59.94, "60 s"), (59.96, "1 min"), (200, "3 min 20 s"), (7500, "2 h 05 min")],
)
def test_duration(seconds, expected):
    assert text.duration(seconds) == expected


def test_delays_and_errors():
    assert [text.milliseconds(value) for value in (0.2, 99.994, 107.23, None)] == ["0.20", "99.99", "107.2", "-"]
    assert [text.signed(value) for value in (0.2, -3, None)] == ["+0.20", "-3.00", "-"]


def test_figures_of_every_kind():
    shown = [text.value(one) for one in (None, True, 12345, 12345.678, "x", {"p50": 1.5, "n": 2}, [1, 2])]
    assert shown == ["-", "true", "12,345", "12,300", "x", "(p50 1.50, n 2)", "2 values"]


def test_what_is_nearly_all_never_shows_as_all():
    assert [text.value(one) for one in (1.0, 0.99999, 0.9984, 0.5)] == ["1.0", "0.9999", "0.9984", "0.500"]


def test_plain_tables_cut_nothing_and_align_numbers():
    assert aligned(["name", "value", ""], [["a", "1", ""], ["longer", "+10.5", "note"]]) == (
        "name    value\na           1\nlonger  +10.5  note\n"
    )
    assert aligned(["alone"], []) == "alone\n"
