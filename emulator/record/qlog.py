"""qlog files, which QUIC stacks write (draft-ietf-quic-qlog-main-schema, JSON, versions 0.3 and 0.4).

Invariant: a file changes whole or not at all. A trace on scenario time has `time_format` "relative" and, as
`reference_time`, T0 in milliseconds of the Unix epoch: its times are milliseconds of scenario time, and a viewer that
wants the time of day finds it.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

from emulator.model.errors import Unfit
from emulator.model.inputs import read_text
from emulator.model.outputs import write_atomic

SUFFIX = ".qlog"
MOST_BYTES = 500_000_000
MOST_MS = 1e15  # of a time of day: the year 33658


class Event(NamedTuple):
    """One event of a trace: scenario time, name such as "transport:packet_sent", and its data."""

    t_s: float
    name: str
    data: dict[str, Any]


class Trace(NamedTuple):
    """One connection as one end has seen it. `vantage`: "client", "server" or "network"."""

    vantage: str
    events: list[Event]


def read(path: Path) -> list[Trace]:
    """Traces of a file that is on scenario time. OSError; ValueError where it is no such qlog file."""
    traces = []
    for trace in _traces(_document(path)):
        if trace.get("common_fields", {}).get("time_format") != "relative":
            raise Unfit(f"{path}: times of day", "a file on scenario time, as runs leave it")
        vantage = str(trace.get("vantage_point", {}).get("type", ""))
        events = [
            Event(each["time"] / 1e3, str(each.get("name", "")), each.get("data", {})) for each in trace["events"]
        ]
        traces.append(Trace(vantage, events))
    return traces


def put_on_scenario_time(folder: Path, t0_utc_ns: int) -> list[str]:
    """Rewrite all qlog files below `folder`; what is wrong with those that stay as they are.

    Only files are followed, never symbolic links: programs of nodes can leave what they like.
    """
    problems = []
    for path in _files(folder):
        try:
            document = _document(path)
            for trace in _traces(document):
                shift(trace, t0_utc_ns / 1e6)
            owner = path.lstat()
            write_atomic(path, json.dumps(document, separators=(",", ":")).encode())
            os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)
        except OSError as error:
            problems.append(f"{path.relative_to(folder.parent)} keeps its times: {error.strerror}")
        except ValueError as error:
            problems.append(f"{path.relative_to(folder.parent)} keeps its times: {error}")
    return problems


def shift(trace: dict[str, Any], t0_ms: float) -> None:
    """Make a trace's times relative to `t0_ms` (Unix epoch). ValueError, and no change, where they cannot be read."""
    common = trace.setdefault("common_fields", {})
    times_ms = [each["time"] for each in trace["events"]]
    form, reference_ms = common.get("time_format", "absolute"), common.get("reference_time", 0)
    if form not in ("absolute", "relative", "delta") or not _is_time(reference_ms):
        raise Unfit(
            f"`time_format` {form!r} with `reference_time` {reference_ms!r}",
            '"absolute", "relative" or "delta" with milliseconds',
        )
    if form == "absolute":
        reference_ms = 0
    if form == "delta":
        times_ms = list(accumulate(times_ms))
    for event, time_ms in zip(trace["events"], times_ms, strict=True):
        event["time"] = round(reference_ms + time_ms - t0_ms, 3)
    common.update(time_format="relative", reference_time=t0_ms)


def _files(folder: Path) -> Iterator[Path]:
    for parent, _, names in os.walk(folder):
        for name in sorted(names):
            path = Path(parent, name)
            if name.endswith(SUFFIX) and stat.S_ISREG(path.lstat().st_mode):
                yield path


def _document(path: Path) -> Any:
    try:
        return json.loads(read_text(path, MOST_BYTES))
    except RecursionError:
        raise Unfit("values nested too deep", "a qlog file") from None
    except ValueError as error:
        raise Unfit(f"no JSON ({error})", "a qlog file of the format JSON") from None


def _traces(document: Any) -> list[dict[str, Any]]:
    """The traces; events are known to be objects with a time, `common_fields` and `vantage_point` to be objects."""
    traces = document.get("traces") if isinstance(document, dict) else None
    if not isinstance(traces, list):
        raise Unfit("no `traces`", "a qlog file of the format JSON")
    for trace in traces:
        events = trace.get("events") if isinstance(trace, dict) else None
        if not isinstance(events, list) or not all(
            isinstance(each, dict) and _is_time(each.get("time")) for each in events
        ):
            raise Unfit("a trace without `events` that have a `time`", "a list of objects with a number as `time`")
        for key in ("common_fields", "vantage_point"):
            if not isinstance(trace.get(key, {}), dict):
                raise Unfit(f"`{key}` that is no object", "an object")
    return traces


def _is_time(value: object) -> bool:
    """Whether a value is a number of milliseconds that one can compute with: JSON has integers of any length."""
    return isinstance(value, (int, float)) and -MOST_MS <= value <= MOST_MS
