"""Fixed snapshots and a fixed console for the tests of the screens."""

import io
import os
from pathlib import Path

from rich.console import Console

GOLDEN = Path(__file__).parent / "show_golden"
STATIONS = [
    "tokyo", "paris", "sydney", "nairobi", "lima", "oslo", "seattle", "mumbai", "cairo", "santiago", "perth", "boston",
]  # fmt: skip


def console(width, height, **options):
    settings = {"force_terminal": True, "color_system": None, "legacy_windows": False, "_environ": {}} | options
    return Console(file=io.StringIO(), width=width, height=height, highlight=False, **settings)


def build(done=412, phase="build", **more):
    return {
        "scenario": "leo", "run_id": "7f3a2c", "seed": 7, "phase": phase, "done": done, "total": 1584,
        "label": "ports", "elapsed_s": 0.76, "duration_s": 60.0, **more,
    }  # fmt: skip


def play(t_s=41.2, **more):
    return {
        "scenario": "leo", "run_id": "7f3a2c", "seed": 7, "phase": "play", "elapsed_s": t_s + 2.5, "t_s": t_s,
        "duration_s": 60.0,
        "nodes": {"live": 12, "transit": 1584, "processes": 24},
        "lateness_ms": {"p50": 0.08, "p99": 0.81, "max": 2.4},
        "probes": [
            {
                "pair": f"gs-{STATIONS[i]} → gs-{STATIONS[(i + 3) % 12]}", "asked_ms": 60.0 + 9.7 * i,
                "seen_ms": 60.21 + 9.8 * i, "error_ms": 0.21 + 0.1 * i, "sent": 42, "lost": int(i == 3),
            }
            for i in range(12)
        ],
        "flows": [
            {"pair": f"gs-{STATIONS[i]} → gs-{STATIONS[i + 5]}", "bytes": 231_400_000,
             "now_bps": 45.6e6, "mean_bps": 9e6}
            for i in range(3)
        ],
        "links": [
            {"end": f"gs-{STATIONS[i]}:up", "asked_ms": 2.8 + i / 10, "late_ms": 0.08, "rate_bps": 45.6e6,
             "drops": 12 * i}
            for i in range(5)
        ],
        "drops": {"queue": 120, "loss": 0},
        "handovers": 13,
        "handover_tail": [
            {"t_s": 30.0 + 3 * i, "link": f"gs-{STATIONS[i]}:up", "before": f"sat-{31 * i:04}", "after": "sat-0570"}
            for i in range(3)
        ] + [{"t_s": 40.0, "link": "gs-oslo:up", "before": "sat-0001", "after": ""}],
        "events": [{"t_s": 40.2, "node": "gs-tokyo", "kind": "flow-started", "text": "peer=gs-oslo"}],
        **more,
    }  # fmt: skip


def check_golden(name, text):
    """Compare with the file `name`; SKYLOOM_GOLDEN=write makes it anew, to be read before it is committed."""
    path = GOLDEN / name
    text = "\n".join(line.rstrip() for line in text.split("\n"))
    if os.environ.get("SKYLOOM_GOLDEN") == "write":
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    assert text == path.read_text()
