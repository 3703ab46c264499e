"""Runs over pseudo-hosts that have monotonic clocks of their own, in namespaces of time: seconds and days apart."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from capture_streams import blocks
from host_topology import host_topology

from emulator.model.errors import EXIT_LATE

pytestmark = [
    pytest.mark.netns,
    pytest.mark.usefixtures("with_root"),
    pytest.mark.skipif(not Path("/proc/self/timens_offsets").exists(), reason="this kernel has no time namespaces"),
]
COMMAND = [sys.executable, str(Path(__file__).parents[2] / "support" / "other_clocks.py")]
DAY_S = 86_400.0
TOPOLOGY = host_topology("ab", "bc", "ca")
SCENARIO = """
topology = "topo.py"
[[program]]
name = "probe"
nodes = ["*"]
run = "nodes.traffic.probe:Probe"
config = { interval = "10 ms" }
[[program]]
name = "said"
nodes = ["*"]
command = ["true"]
start = "1 s"
[[action]]
do = "link-down"
at = "1 s"
links = ["a:b"]
[capture]
links = ["*"]
"""


class Played:
    """A run whose hosts have these clocks (tests/support/other_clocks.py)."""

    def __init__(self, folder: Path, clocks: list[dict[str, Any]], *words: str, preload: str = "") -> None:
        (folder / "topo.py").write_text(TOPOLOGY)
        (folder / "far.toml").write_text(SCENARIO)
        run = ["run", str(folder / "far.toml"), "--hosts", str(len(clocks)), "--runs", str(folder / "runs"), *words]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        environment |= {"LD_PRELOAD": preload} if preload else {}
        ended = subprocess.run(
            [*COMMAND, json.dumps(clocks), *run], env=environment, capture_output=True, text=True, check=False,
            timeout=60,
        )  # fmt: skip
        self.folder = folder / "runs" / "far" / "latest"
        self.verdict: dict[str, Any] = json.loads((self.folder / "verdict.json").read_text())
        assert self.verdict["error"] == "", ended.stdout + ended.stderr
        self.samples = pl.read_parquet(self.folder / "samples.parquet")

    def one_way_ms(self, from_s: float = 0.0) -> dict[tuple[str, str], float]:
        """The median of each pair's delays there, by the clocks of both."""
        delays = self.samples.filter((pl.col("name") == "owd_s") & (pl.col("t_s") >= from_s))
        found = delays.group_by("node", "key").agg(pl.col("value").median())
        return {(node, peer): value * 1e3 for node, peer, value in found.iter_rows()}


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    clocks = [{"ahead_s": ahead_s} for ahead_s in (5.0, -3.0, DAY_S + 0.25)]
    return Played(tmp_path_factory.mktemp("far"), clocks, "--duration", "2s")


def test_clocks_that_are_days_apart_make_one_run(played: Played) -> None:
    verdict = played.verdict
    assert verdict["clock"]["offset_us"] == pytest.approx((DAY_S + 0.25 - 5.0) * 1e6, abs=1000)
    assert verdict["clock"]["bound_us"] < 1000
    assert verdict["clock"]["stepped_us"] == 0.0
    assert verdict["trunks"]["crossings"] > 1000
    assert verdict["trunks"]["lost"] == 0
    assert verdict["trunks"]["late_share"] < 0.05
    assert not [text for text in verdict["warnings"] if text.startswith("conservation")]


def test_delays_between_their_programs_are_those_of_the_links(played: Played) -> None:
    delays_ms = played.one_way_ms()
    assert len(delays_ms) == 6
    for delay_ms in delays_ms.values():
        assert delay_ms == pytest.approx(10.05, abs=0.4)
    for (node, peer), delay_ms in delays_ms.items():  # where a clock was wrong, one way would gain what the other loses
        assert delay_ms == pytest.approx(delays_ms[peer, node], abs=0.4)


def test_their_records_are_of_one_time(played: Played) -> None:
    events = pl.read_parquet(played.folder / "events.parquet")
    assert played.samples["t_s"].is_between(-1.0, 2.5).all()
    assert events["t_s"].is_between(-2.0, 3.5).all()
    for name in "abc":
        own = played.samples.filter(pl.col("node") == name)["t_s"]
        assert own.min() < 0.2  # type: ignore[operator]
        assert own.max() > 1.7  # type: ignore[operator]
    links = pl.read_parquet(played.folder / "links.parquet")
    assert links["t_s"].is_between(0.0, 3.5).all()


def test_an_action_is_performed_everywhere_at_its_instant(played: Played) -> None:
    found = played.samples.filter((pl.col("name") == "owd_s") & (pl.col("t_s") > 0.95))
    for node, peer in ("ab", "ba"):
        last_s = found.filter((pl.col("node") == node) & (pl.col("key") == peer))["t_s"].max()
        assert last_s is None or last_s == pytest.approx(1.0, abs=0.05)


@pytest.mark.filterwarnings("ignore:Field type should not be")  # of the foreign reader
def test_captures_are_stamped_by_the_lead_s_time_of_day(played: Played) -> None:
    t0_s = json.loads((played.folder / "platform.json").read_text())["t0_utc_ns"] * 1e-9
    (capture,) = played.folder.glob("*.pcapng")
    packets = [block for block in blocks(capture.read_bytes()) if type(block).__name__ == "EnhancedPacket"]
    times_s = [packet.timestamp - t0_s for packet in packets]
    assert len(times_s) == played.verdict["capture"]["packets"] > 1000
    assert -0.05 < min(times_s) < 0.3
    assert 1.7 < max(times_s) < 2.3


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> str:
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not there")
    source = Path(__file__).parents[2] / "support" / "shifted_clock.c"
    library = tmp_path_factory.mktemp("shim") / "shifted_clock.so"
    subprocess.run(["gcc", "-O1", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    return str(library)


def test_a_clock_that_drifts_shows_in_no_delay(tmp_path: Path, shim: str) -> None:
    clocks = [{}, {"ahead_s": 7.0, "drift": 4e-4}, {"drift": -1e-4}]
    played = Played(tmp_path, clocks, "--duration", "5s", preload=shim)
    delays_ms = played.one_way_ms(3.0)
    assert delays_ms["b", "c"] == pytest.approx(delays_ms["c", "b"], abs=0.4), "unfollowed it is 2 ms by then"
    assert played.verdict["clock"]["stepped_us"] == 0.0


def test_a_clock_that_stood_still_is_named(tmp_path: Path, shim: str) -> None:
    played = Played(tmp_path, [{}, {"pause": [5.0, 0.3]}, {}], "--duration", "6s", preload=shim)
    assert played.verdict["clock"]["stepped_us"] == pytest.approx(300_000, abs=5_000)
    (warning,) = [text for text in played.verdict["warnings"] if "its clock was stepped" in text]
    assert warning.startswith("host 1: its clock was stepped by -")
    assert warning.endswith(" ms, by that of host 0")
    assert played.verdict["exit_code"] == EXIT_LATE
