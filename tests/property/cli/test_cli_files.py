"""Any bytes as the file of any command that reads one: a documented exit code in bounded time, and no traceback."""

from __future__ import annotations

import io
import json
import re
import sys
import tempfile
import time
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator import cli
from emulator.model.errors import EXIT_DATA, EXIT_PASS, EXIT_USAGE

LINKS = """
topology = "topologies.graph"
duration = "3 s"
description = "a ring"
[graph]
spec = "cycle:4"
delay = "10 ms"
[slots]
start = "500 ms"
length = "40 ms"
period = 6
events = [{ round = 3, edge = ["n2", "n1"], delay_rounds = 1 }]
"""
ADVERSARY = json.dumps({
    "format": "skyloom-adversary/1", "graph": {"nodes": 3, "edges": [[0, 1], [1, 2], [2, 0]]}, "sources": [0],
    "prefix": 1, "period": 4, "events": [{"round": 2, "edge": [2, 1], "delay": 1}], "fifo": False,
})  # fmt: skip
SCHEDULE = json.dumps({"nodes": 3, "edges": [[0, 1], [1, 2]], "steps": 4, "period": 2,
                       "events": [{"step": 2, "edge": [0, 2], "present": True}]})  # fmt: skip
VERDICT = json.dumps(
    {
        "schema_version": 1,
        "scenario": "x",
        "seed": 3,
        "verdict": "pass",
        "exit_code": 0,
        "summary": {"a": 1.5, "b": {"c": 1}},
        "expectations": [{"figure": "summary.a", "asked": "at least 1", "observed": 1.5, "holds": True}],
        "lateness_ms": {"p50": 0.1, "p99": 0.2, "max": 1.0},
        "lateness_limit_ms": 2.0,
        "drops": {"loss": 3},
        "lateness_budget": {"scheduler": 0.5, "late_packets": 3},
        "prediction": {"a": 1.5},
        "warnings": ["so so"],
        "probes": [{"pair": "a b", "asked_ms": 1.0, "seen_ms": 1.0, "error_ms": {"p50": 0.1}, "sent": 3, "lost": 0}],
        "flows": [{"pair": "a b", "mean_bps": 1e6, "bytes": 10, "duration_s": 1.0}],
        "rounds": {"rounds": 1, "fidelity": 1.0},
    }
)
SWEEP = json.dumps({"schema_version": 1, "scenario": "x", "over": {"a": [1]}, "seeds": 1, "rows": [{"a": 1}]})
TLE = """sat
1 25544U 98067A   20344.91667824  .00016717  00000-0  10270-3 0  9007
2 25544  51.6442  21.4611 0002050 101.5440 248.1234 15.49180547 16885
"""
EDGE = '<node id="a"/><node id="b"/><edge source="a" target="b"/>'
GRAPHML = f'<graphml><graph edgedefault="undirected">{EDGE}</graph></graphml>'
GML = "graph [ node [ id 0 ] node [ id 1 ] edge [ source 0 target 1 ] ]"

# words of a command, in which FILE is the file and FOLDER its folder: name of the file, a good one
READERS: dict[str, tuple[str, str]] = {
    "plan FILE": ("scenario.toml", LINKS),
    "list FILE": ("scenario.toml", LINKS),
    "schema FILE": ("scenario.toml", LINKS),
    "algo rdaf decide FILE --limit 1000": ("case.json", ADVERSARY),
    "algo rdaf decide --limit 1000 -g cycle:3 -a FILE": ("case.json", ADVERSARY),
    "algo rdaf decide -g FILE --limit 99": ("graph.json", '{"a": ["b", "c"], "b": ["c"]}'),
    "algo rdaf decide --limit 99 -g FILE": ("net.edges", "0 1\n1 2\n2 0\n"),
    "algo rdaf decide -g FILE --limit 999": ("net.graphml", GRAPHML),
    "algo rdaf decide --limit 999 -g FILE": ("net.gml", GML),
    "algo tinterval FILE": ("schedule.json", SCHEDULE),
    "compare FOLDER FOLDER": ("verdict.json", VERDICT),
    "compare --json FOLDER FOLDER": ("verdict.json", VERDICT),
    "report FOLDER": ("sweep.json", SWEEP),
    "watch FOLDER --no-tui": ("verdict.json", VERDICT),
}
NEVER_GOOD = {  # a good file would be a run, or takes seconds
    "run FILE": ("scenario.toml", ""),
    "sweep FILE": ("scenario.toml", ""),
    "run --topo FILE": ("net.py", ""),
    "run leo --no-tui --elements FILE": ("sky.tle", ""),
    "plan leo_access --weather FILE": ("rain.csv", ""),
    "plan lemonshark --set map=FILE": ("map.csv", ""),
    "plan explore --set schedule=FILE": ("schedule.json", ""),
    "validate leo-access FOLDER --site 52,8": ("ping.txt", ""),
}
BAD = [b"-1", b"1e999", b"99999999999999999999", b"nan", b"[", b"{", b'"', b"\x1b[2J", b"\\u001b", b"\xc2\x9b", b"\n",
       b"null", b"true", b"[]", b"{}", b'"x"']  # fmt: skip
ALLOWED = {EXIT_PASS, EXIT_DATA, EXIT_USAGE}


def ended(words: str, name: str, data: bytes) -> int:
    """Exit code of the command on a file with this name and these bytes."""
    said, errors = io.StringIO(), io.StringIO()
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(said), redirect_stderr(errors):
        file = Path(folder) / name
        file.write_bytes(data)
        places = {"FILE": str(file), "FOLDER": folder}
        before, sys.argv = (
            sys.argv,
            ["skyloom", *(re.sub("FILE|FOLDER", lambda found: places[found[0]], word) for word in words.split())],
        )
        began_s = time.monotonic()
        try:
            code = cli._exit_code()
        finally:
            sys.argv = before
        took_s = time.monotonic() - began_s
    assert "Traceback" not in errors.getvalue(), errors.getvalue()
    assert code in ALLOWED, (code, errors.getvalue())
    assert took_s < 30
    for text in (said.getvalue(), errors.getvalue()):
        assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]", text), text
    return code


@st.composite
def damaged(draw: st.DrawFn, good: str) -> bytes:
    """A good file with a few places of it replaced, cut out or put in twice."""
    data = good.encode()
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.integers(0, 12)))
        put = draw(st.one_of(st.binary(max_size=4), st.just(data[start:end] * 2), st.sampled_from(BAD)))
        data = data[:start] + put + data[end:]
    return data


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=4,
)


@st.composite
def altered(draw: st.DrawFn, good: str) -> bytes:
    """A good JSON file in which a value is another one, or is left out."""
    document = json.loads(good)
    here = document
    while True:
        key = draw(st.sampled_from(sorted(here) if isinstance(here, dict) else range(len(here))))
        inner = here[key]
        if not (isinstance(inner, dict | list) and inner and draw(st.booleans())):
            break
        here = inner
    if draw(st.integers(0, 4)):
        here[key] = draw(VALUES)
    else:
        del here[key]
    return json.dumps(document).encode()


@pytest.mark.parametrize("words", [words for words, (name, _) in READERS.items() if name.endswith(".json")])
@given(data=st.data())
@settings(max_examples=40)
def test_other_values(words: str, data: st.DataObject) -> None:
    name, good = READERS[words]
    ended(words, name, data.draw(altered(good)))


@pytest.mark.parametrize("words", READERS)
@given(data=st.data())
@settings(max_examples=25)
def test_damaged_files(words: str, data: st.DataObject) -> None:
    name, good = READERS[words]
    ended(words, name, data.draw(damaged(good)))


@pytest.mark.parametrize("words", [*READERS, *NEVER_GOOD])
@given(data=st.binary(max_size=200) | st.text(max_size=60).map(lambda text: text.encode("utf-8", "surrogatepass")))
@settings(max_examples=10)
def test_any_bytes(words: str, data: bytes) -> None:
    name, _ = (READERS | NEVER_GOOD)[words]
    ended(words, name, data)


@pytest.mark.parametrize("words", READERS)
def test_the_good_files_are_good(words: str) -> None:
    name, good = READERS[words]
    assert ended(words, name, good.encode()) == EXIT_PASS
