"""The end-of-run text: golden texts of fixed verdicts, --json, and folders without a verdict."""

import pytest
from fixed_snapshots import check_golden, console

from emulator.model.errors import DataError
from emulator.record.verdict import Outcome, Verdict
from emulator.record.verdict.judge import conclude
from emulator.report.summary import clock_words, print_summary


def verdict(**more):
    fields = {
        "scenario": "leo", "seed": 7, "run_id": "7f3a2c", "duration_s": 60.0,
        "lateness_ms": {"p50": 0.08, "p99": 0.81, "max": 2.4}, "lateness_limit_ms": 5.0,
        "probe_error_ms": {"p50": 0.21, "p99": 0.9},
        "drops": {"queue": 312, "loss": 0, "outage": 2},
        "probes": [
            {"pair": "gs-tokyo → gs-paris", "asked_ms": 107.2, "seen_ms": 107.5, "error_ms": {"p50": 0.2, "p99": 0.9},
             "sent": 60, "lost": 0},
            {"pair": "gs-tokyo → gs-oslo", "asked_ms": 93.1, "seen_ms": None, "error_ms": {}, "sent": 60, "lost": 60},
        ],
        "flows": [{"pair": "gs-tokyo → gs-paris", "mean_bps": 45.6e6, "bytes": 342_000_000, "duration_s": 59.8}],
        "summary": {"handovers": 1313, "rtt_ms": {"p50": 98.21, "p99": 160.0}, "flows": 1},
    }  # fmt: skip
    return Verdict(**(fields | more))


EXPECTATIONS = [
    {"figure": "summary.handovers", "at_least": 1},
    {"figure": "drops.outage", "at_most": 0},
    {"figure": "summary.[bold]", "equals": 3},
]
VERDICTS = {
    "pass": conclude(verdict(), EXPECTATIONS[:1]),
    "fail": conclude(verdict(warnings=["capture.pcapng: 2 packets are missing"]), EXPECTATIONS),
    "predicted": conclude(verdict(
        summary={"terminates": True, "round": 5, "rounds": 4.2, "messages": 30}, probes=[], flows=[],
        prediction={"terminates": True, "round": 4, "rounds": 4.0, "trace": "9f2c"},
        rounds={"rounds": 12, "messages": 84, "received": 84, "in_slot": 83, "fidelity": 83 / 84,
                "fidelity_at_least": 1.0, "interface_packets": 85, "counts_agree": False, "stopped": ""},
    )),
    "late": conclude(verdict(
        lateness_ms={"p50": 1.0, "p99": 7.5, "max": 80.0},
        lateness_budget={"late_packets": 12345, "late_share": 0.0612, "engine": 0.16, "scheduler": 0.8401,
                         "capture": 0.0, "engine_cpu_share": 0.143, "overloaded_s": 1.25, "late_handovers": 0,
                         "realtime_share": 0.0},
    )),
    "hosts": conclude(verdict(
        probes=[], flows=[], trunk_lost_limit=1e-5,
        machines=[
            {"name": name, "nodes": nodes, "lateness_ms": late, "engine_cpu_s": 4.25, "relay_cpu_s": 5.0,
             "late_rows": 0, "memory_bytes": 88_200_000}
            for name, nodes, late in (("host 0", 466, {"p50": 0.08, "p99": 0.9, "max": 2.4}), ("host 1", 1130, {}))
        ],
        trunks={"crossings": 20_668, "late_share": 0.00314, "lost": 3, "repaired": 17, "worst_latency_ms": 0.793},
        clock={"offset_us": -2.4, "bound_us": 6.67, "spread_us": 4.5, "check_us": 2.61, "slewed": 0},
    )),
    "interrupted": conclude(Verdict("leo", 7, interrupted=True)),
    "broken": conclude(Verdict(
        "leo", 7, error="the relay ended with status 1; see logs/relay.txt",
        expectations=[Outcome("program probe on gs-tokyo", "running", None, False, "it never started")],
    )),
}  # fmt: skip


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    from pathlib import Path

    path = Path("runs/leo/2026-11-23T18-30-07Z-7f3a2c")
    path.mkdir(parents=True)
    return path


@pytest.mark.parametrize("name", VERDICTS)
@pytest.mark.parametrize("width", [80, 120])
def test_golden_texts(name, width, folder):
    (folder / "verdict.json").write_text(VERDICTS[name].to_json())
    written = console(width, 24, force_terminal=False)
    print_summary(folder, console=written)
    check_golden(f"summary-{name}-{width}.txt", written.file.getvalue())


def test_verdict_is_said_by_sign_and_word():
    exit_codes = {name: one.exit_code for name, one in VERDICTS.items()}
    assert exit_codes == {
        "pass": 0, "fail": 1, "predicted": 75, "late": 75, "hosts": 75, "interrupted": 130, "broken": 70,
    }  # fmt: skip


def test_json_is_the_file_itself(folder, capsys):
    (folder / "verdict.json").write_text(VERDICTS["fail"].to_json())
    print_summary(folder, as_json=True)
    assert capsys.readouterr().out == VERDICTS["fail"].to_json()


def test_long_tables_show_the_worst_and_say_so(folder):
    pairs = [
        {
            "pair": f"a → b{number}",
            "asked_ms": 1.0,
            "seen_ms": 1.1,
            "error_ms": {"p99": number / 10},
            "sent": 1,
            "lost": 0,
        }
        for number in range(50)
    ]
    (folder / "verdict.json").write_text(conclude(verdict(probes=pairs)).to_json())
    written = console(80, 24, force_terminal=False)
    print_summary(folder, console=written)
    assert "(worst 20 of 50)" in written.file.getvalue()
    assert [number for number in range(50) if f"a → b{number} " in written.file.getvalue()] == list(range(30, 50))


def test_names_give_way_on_a_narrow_terminal_and_figures_do_not(folder):
    pairs = [
        {"pair": "gs-johannesburg → gs-los-angeles", "asked_ms": 163.3, "seen_ms": 212.7, "sent": 12345, "lost": 678}
    ]
    (folder / "verdict.json").write_text(conclude(verdict(probes=pairs)).to_json())
    written = console(60, 24, force_terminal=False)
    print_summary(folder, console=written)
    line = next(line for line in written.file.getvalue().splitlines() if line.startswith("gs-joh"))
    assert line.split()[-6:] == ["163.3", "212.7", "-", "-", "12,345", "678"]
    assert len(line.rstrip()) <= 60


def test_folder_without_a_verdict_is_a_clear_error(folder):
    with pytest.raises(DataError, match="may still be going on, or was killed"):
        print_summary(folder)
    (folder / "verdict.json").write_text("{}")
    with pytest.raises(DataError, match="not a verdict of schema version 1"):
        print_summary(folder)


def test_clocks_are_as_far_apart_as_units_fit() -> None:
    words = clock_words({"offset_us": -86_400e6, "bound_us": 5.15, "check_us": 1660.0, "stepped_us": 300_100.0})
    assert words == (
        "at most 86,400 s from that of host 0, known to 5.15 us; other pairs of hosts agree to 1.66 ms; "
        "one was stepped by 300 ms"
    )
