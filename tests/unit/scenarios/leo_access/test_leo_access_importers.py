"""Importers: what they read of the shared data, and what they say of files that are amiss."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from emulator.model.errors import DataError
from scenarios.leo_access import importers
from scenarios.leo_access.measured import read_folder

DATA = Path(__file__).parents[5] / "shared" / "data" / "orbits"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="the shared orbit data are not here")

PING = """PING 100.64.0.1 (100.64.0.1) 56(84) bytes of data.
[1744680687.384000] 64 bytes from 100.64.0.1: icmp_seq=1 ttl=62 time=29.4 ms
[1744680687.424000] 64 bytes from 100.64.0.1: icmp_seq=3 ttl=62 time=29.3 ms
[1744680687.430000] no answer yet for icmp_seq=4
[1744680687.435000] 64 bytes from 100.64.0.1: icmp_seq=3 ttl=62 time=31.3 ms (DUP!)
[1744680687.464000] 64 bytes from 100.64.0.1: icmp_seq=5 ttl=62 time=9 ms

--- 100.64.0.1 ping statistics ---
5 packets transmitted, 3 received, 40% packet loss, time 4ms
rtt min/avg/max/mdev = 9.0/22.5/29.4/9.0 ms
[17446806"""
SERVING = """Timestamp,Y,X,Elevation,Azimuth,Connected_Satellite,Distance
2025-04-15 01:31:30+00:00,42,44,56.2,316.5,STARLINK-31317,568.8
2025-04-15 01:31:29+00:00,42,44,55.9,316.5,STARLINK-31317,570.2
2025-04-15 01:31:44+00:00,47,44,60.5,107.8,STARLINK-31649,545.1
"""


def written(tmp_path: Path, text: str, name: str = "file.txt") -> Path:
    path = tmp_path / name
    path.write_text(text)
    return path


@needs_data
def test_the_shared_statistics_of_osnabrueck():
    found = read_folder(DATA, 52.27, 8.05)
    assert found.box("rtt_bent_pipe").median == 30.47
    assert found.box("download_throughput", "hour=19").median == 178.387
    assert found.box("download_throughput", "rain_mm=>5").q1 == 100.958
    assert len(found.boxes) == 59
    assert found.loss.share[found.loss.loss < 0.005].max() == 0.6725
    assert found.gap_s() == pytest.approx((60.965 - 30.47) / 2e3)
    assert not found.traces  # taken elsewhere, and told so
    assert len(found.slots) == 1
    assert any("pings at another site" in note for note in found.notes)
    assert found.hours(8.05) == list(range(24))


@needs_data
def test_the_shared_trace_of_victoria():
    found = read_folder(DATA / "starlink-rtt", 48.46, -123.31)
    (trace,) = found.traces
    assert len(trace.t_s) == 36000
    assert np.isnan(trace.rtt_s).mean() == pytest.approx(0.02536, abs=1e-4)
    assert np.nanmedian(trace.rtt_s) == 0.0428
    assert found.hours(-123.31) == [16, 17, 18]  # 00:05 to 02:46 UTC, eight hours west
    assert found.gap_s() is None


@needs_data
def test_another_site_s_folder_says_that_nothing_is_there():
    with pytest.raises(DataError, match=r"nothing about -33, 151; expected .*\n.*Osnabrueck, another site"):
        read_folder(DATA / "wetlinks", -33, 151)


def test_pings_with_gaps_duplicates_and_a_cut_end(tmp_path):
    trace = importers.ping_trace(written(tmp_path, PING))
    assert np.isnan(trace.rtt_s).tolist() == [False, True, False, True, False]
    assert trace.rtt_s[[0, 2, 4]] == pytest.approx([0.0294, 0.0293, 0.009])
    assert trace.t_s[0] == pytest.approx(1744680687.384 - 0.0294, abs=1e-5)  # stamps are those of answers
    assert (np.diff(trace.t_s) > 0).all()


def test_sequence_numbers_go_on_after_65535(tmp_path):
    lines = [
        f"[{1000000000 + n / 100:.6f}] 64 bytes from a: icmp_seq={n % 65536} ttl=1 time=1 ms"
        for n in range(65530, 65545)
    ]
    trace = importers.ping_trace(written(tmp_path, "\n".join(lines) + "\n"))
    assert len(trace.rtt_s) == 15
    assert not np.isnan(trace.rtt_s).any()


def test_a_lost_ping_of_a_trace_is_nan(tmp_path):
    trace = importers.mmsys_trace(written(tmp_path, "1694477135.68\t1\t44.5\n1694477135.82\t2\t-1\n"))
    assert trace.rtt_s[0] == pytest.approx(0.0445)
    assert np.isnan(trace.rtt_s[1])


def test_serving_satellites_come_in_the_order_of_time(tmp_path):
    seen = importers.serving(written(tmp_path, SERVING, "serving.csv"))
    assert seen.satellite == ("STARLINK-31317", "STARLINK-31317", "STARLINK-31649")
    assert seen.elevation_deg.tolist() == [55.9, 56.2, 60.5]
    assert seen.t_s[1] - seen.t_s[0] == 1.0


BOXES = ",".join(importers.BOX_COLUMNS) + "\n"
LOSSES = ",".join(importers.LOSS_COLUMNS) + "\n"


@pytest.mark.parametrize(
    ("read", "text", "expected"),
    [
        (importers.mmsys_trace, "1694477135.68\t1\t44.5\nnonsense\n", ":2: 'nonsense'; expected time, sequence"),
        (importers.mmsys_trace, "1694477135.68\t1\t-3\n", ":1: a round trip of -3 ms; expected more than 0, or -1"),
        (importers.mmsys_trace, "1694477135.68\t1\t0\n", ":1: a round trip of 0 ms"),
        (importers.ping_trace, "[1.5] 64 bits from x: icmp_seq=a\n", ":1: .*expected a line of `ping -D`"),
        (importers.boxes, "figure,n\n", ":1: no column metric, unit, site"),
        (importers.boxes, BOXES + "F,m,ms,S,all,,1,2,3\n", ":2: 9 columns; expected 11"),
        (importers.boxes, BOXES + "F,m,ms,S,all,,1,2,x,4,5\n", ":2: median is 'x'; expected a number"),
        (importers.boxes, BOXES + "F,m,ms,S,all,,1,2,nan,4,5\n", ":2: median is 'nan'"),
        (importers.boxes, BOXES + "F,m,ms,S,all,,1,4,3,4,5\n", ":2: a box of 1 4 3 4 5; expected them to rise"),
        (importers.loss_curve, LOSSES + "F,S,1,0.5\nF,S,0.5,0.6\n", ":3: 0.5 %, share 0.6; expected rising"),
        (importers.serving, SERVING + "yesterday,1,1,1,1,S,1\n", ":5: 'yesterday'; expected a time"),
    ],
)
def test_what_is_amiss_is_named_with_its_line(tmp_path, read, text, expected):
    with pytest.raises(DataError, match=f"file.txt{expected}"):
        read(written(tmp_path, text))


def test_a_folder_takes_what_it_knows_and_names_the_rest(tmp_path):
    written(tmp_path, PING, "ping.txt")
    written(tmp_path, SERVING, "serving.csv")
    (tmp_path / "deep").mkdir()
    written(tmp_path, "hello\n", "deep/README")
    (tmp_path / "deep" / "bytes").write_bytes(b"\xff\xfe\x00")
    found = read_folder(tmp_path, 10.0, 10.0)  # without a known name the data are of the site that is asked about
    assert (len(found.traces), len(found.serving)) == (1, 1)
    assert found.satellites is None
    found.elements = [Path("oneweb.tle"), Path("Starlink-2025.tle"), Path("zz.tle")]
    assert found.satellites == Path("Starlink-2025.tle")
    assert found.notes == ["files of kinds that are not known here: deep/README, deep/bytes"]
    with pytest.raises(DataError, match="no such folder"):
        read_folder(tmp_path / "nowhere", 0, 0)
