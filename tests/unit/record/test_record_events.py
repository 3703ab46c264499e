"""Events and samples: from rows to Parquet, through crashes and full disks."""

import json
import math
import resource
import subprocess
import sys
import textwrap

import polars as pl
import pytest

import emulator.record.spool as spool_module
from emulator.record.events import EVENT_COLUMNS, EventLog, SampleLog
from emulator.record.folder import RunFolder
from emulator.record.spool import BUFFER_BYTES, Converted, SpoolReader, read_frame, to_json, to_parquet


@pytest.fixture
def folder(tmp_path):
    return RunFolder.create(tmp_path, "leo")


def test_events_become_parquet_with_their_columns(folder):
    log = EventLog(folder)
    log.append(1.5, "gs-tokyo", "probe", "lost", {"peer": "gs-paris", "sequence": 7})
    log.append(2.5, "gs-paris", "bulk", "done")
    log.add_all([(3.0, "a", "b", "c", {"d": [1, 2]})])
    assert log.finish() == Converted(3, 0)
    frame = pl.read_parquet(folder.path / "events.parquet")
    assert frame.schema == {
        "t_s": pl.Float64, "node": pl.String, "program": pl.String, "kind": pl.String, "data": pl.String,
    }  # fmt: skip
    assert frame["t_s"].to_list() == [1.5, 2.5, 3.0]
    assert [json.loads(text) for text in frame["data"]] == [{"peer": "gs-paris", "sequence": 7}, {}, {"d": [1, 2]}]
    assert not (folder.path / "events.spool").exists()
    assert not folder.warnings


def test_samples_become_parquet_with_their_columns(folder):
    log = SampleLog(folder)
    log.append(1.0, "gs-tokyo", "probe", "rtt_s", "gs-paris", 0.107)
    log.append(2.0, "gs-tokyo", "probe", "sent", "gs-paris", 3)
    log.finish()
    frame = pl.read_parquet(folder.path / "samples.parquet")
    assert frame.columns == ["t_s", "node", "program", "name", "key", "value"]
    assert frame["value"].to_list() == [0.107, 3.0]
    assert frame["value"].dtype == pl.Float64


def test_empty_log_gives_an_empty_table(folder):
    assert EventLog(folder).finish() == Converted(0, 0)
    frame = pl.read_parquet(folder.path / "events.parquet")
    assert frame.height == 0
    assert frame.columns == list(EVENT_COLUMNS)


def test_order_of_arrival_is_kept_over_many_parts(folder, monkeypatch):
    monkeypatch.setattr(spool_module, "CHUNK_ROWS", 100)
    log = EventLog(folder)
    for number in range(1050):
        log.append(float(number), "n", "p", "tick", {"number": number})
    assert log.finish() == Converted(1050, 0)
    frame = pl.read_parquet(folder.path / "events.parquet")
    assert frame["t_s"].to_list() == [float(number) for number in range(1050)]
    assert sorted(path.name for path in folder.path.iterdir()) == [".reserve", "events.parquet", "logs"]


def test_memory_is_bounded_by_the_buffer(folder):
    log = EventLog(folder)
    for number in range(5000):
        log.append(float(number), "n", "p", "tick", {"text": "x" * 200})
        assert len(log._buffer) < BUFFER_BYTES
    assert log.path.stat().st_size > 3 * BUFFER_BYTES
    log.close()


@pytest.mark.parametrize("cut", [1, 2, 13])
def test_truncated_spool_still_converts_and_says_what_is_lost(folder, cut):
    log = EventLog(folder)
    for number in range(10):
        log.append(float(number), "node", "program", "kind", {"number": number})
    log.close()
    data = log.path.read_bytes()
    row = len(data) // 10
    log.path.write_bytes(data[:-cut])
    converted = to_parquet(log.path, folder.path / "events.parquet", EVENT_COLUMNS)
    assert converted == Converted(9, row - cut)
    assert pl.read_parquet(folder.path / "events.parquet")["t_s"].to_list() == [float(n) for n in range(9)]


@pytest.mark.parametrize("tail", [b"\0" * 100, b"\xc1\xc1", b"\x93\x01\x02\x03", b"\xdd\xff\xff\xff\xff", b"\xa5ab"])
def test_garbage_behind_the_last_row_is_lost_and_nothing_else(folder, tail):
    log = EventLog(folder)
    log.append(1.0, "node", "program", "kind", {"a": 1})
    log.close()
    with open(log.path, "ab") as file:
        file.write(tail)
    reader = SpoolReader(log.path, len(EVENT_COLUMNS))
    assert list(reader) == [[1.0, "node", "program", "kind", {"a": 1}]]
    assert reader.lost_bytes == len(tail)


def test_spool_of_a_running_run_can_be_read(folder):
    log = EventLog(folder)
    log.append(1.0, "node", "program", "kind", {"a": 1})
    assert read_frame(log.path, EVENT_COLUMNS)[0].height == 0
    log.flush()
    assert read_frame(log.path, EVENT_COLUMNS)[0]["kind"].to_list() == ["kind"]
    assert log.path.exists()
    log.close()


def test_odd_values_are_recorded_as_well_as_they_can_be(folder):
    events = EventLog(folder)
    events.append(
        1.0,
        "n",
        "p",
        "odd",
        {"nan": math.nan, "bytes": b"\x01\xff", "set": {1}, "key": {b"\x02": 1, 3: 4}, "huge": 2**80},
    )
    events.finish()
    data = json.loads(pl.read_parquet(folder.path / "events.parquet")["data"][0])
    assert data == {"nan": None, "bytes": "01ff", "set": [1], "key": {"02": 1, "3": 4}, "huge": str(2**80)}
    samples = SampleLog(folder)
    samples.append(1.0, "n", "p", "rtt_s", "", "not a number")
    samples.append(2.0, "n", "p", "rtt_s", "", 1)
    samples.finish()
    assert pl.read_parquet(folder.path / "samples.parquet")["value"].to_list() == [None, 1.0]


def test_a_row_that_cannot_be_packed_is_counted_and_the_rest_stays(folder):
    log = EventLog(folder)
    nested: list[object] = []
    nested.append(nested)
    log.append(1.0, "n", "p", "endless", {"nested": nested})
    log.append(1.0, "n", "p", "large", {"text": "x" * (2 << 20)})
    log.append(2.0, "n", "p", "good", {})
    assert log.finish() == Converted(1, 0)
    assert log.lost_rows == 2
    assert [text.startswith("events: ") for text in folder.warnings] == [True, True, True]
    assert "2 of 3 rows are lost" in folder.warnings[-1]


def test_json_of_numpy_values():
    import numpy as np

    assert to_json({"a": np.float64(1.5), "b": np.arange(2), "c": np.int32(3)}) == '{"a":1.5,"b":[0,1],"c":3}'


def test_file_size_limit_stops_the_recording_at_a_whole_row(tmp_path):
    program = textwrap.dedent("""
        import resource, sys
        from pathlib import Path
        from emulator.record.events import EventLog
        from emulator.record.folder import RunFolder
        folder = RunFolder.create(Path(sys.argv[1]), "leo", run_id="a")
        log = EventLog(folder)
        resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
        for number in range(20_000):
            log.append(float(number), "node", "program", "kind", {"number": number})
        log.close()
        print(log.rows, log.lost_rows, log.stopped)
        print(*folder.warnings, sep="\\n")
    """)
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, timeout=60, check=True
    )
    assert resource.getrlimit(resource.RLIMIT_FSIZE) == limit
    first, *warnings = done.stdout.splitlines()
    rows, lost, stopped = first.split(" ", 2)
    assert stopped == "File too large"
    assert warnings == ["recording of events stopped: File too large; the run goes on without"]
    spool = next(tmp_path.glob("leo/*-a/events.spool"))
    reader = SpoolReader(spool, len(EVENT_COLUMNS))
    assert len(list(reader)) == int(rows) - int(lost) > 1000
    assert reader.lost_bytes == 0
