"""Fixed snapshots and a fixed console for the tests of the screens."""

import io
import os
from pathlib import Path

from rich.console import Console

GOLDEN = Path(__file__).parents[1] / "golden" / "terminal"
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


def full(t_s=41.2, **more):
    """A snapshot with something for every panel."""
    waves = [[10 * (i + k) % 101 for k in range(12)] for i in range(5)]
    shown = play(
        t_s,
        folder="runs/leo/2026-11-24T02-28-53Z-7f3a2c",
        lateness_limit_ms=5.0,
        links=[
            {
                "end": f"gs-{STATIONS[i]}:up",
                "far": f"sat-{31 * i:04}",
                "up": i != 4,
                "asked_ms": 2.8 + i / 10,
                "seen_ms": 2.88 + i / 10,
                "late_ms": 0.08,
                "asked_bps": 60e6,
                "rate_bps": 45.6e6 - i * 1e6,
                "capacity_bps": 100e6,
                "history": waves[i],
                "drops": 12 * i,
                "causes": {"queue": 120 * i, "loss": 3} if i else {},
            }
            for i in range(5)
        ],
        link_count=1336,
        node_rows=[
            {
                "node": f"gs-{STATIONS[i]}",
                "role": "ground station",
                "state": ("up", "ended", "failed")[i % 5 % 3],
                "programs": ["probe", "bulk"],
                "cpu": 0.05 * i,
                "memory_bytes": 65_200_000 + i * 10**5,
                "sent_bps": 4.1e6 + i * 1e5,
                "received_bps": 85.5e3,
            }
            for i in range(12)
        ],
        node_count=12,
        contacts=[
            {
                "link": f"gs-{name}-up",
                "node": f"gs-{name}",
                "spans": [(0.0, 20.0 + i, "sat-0001"), (20.0 + i, 90.0, "sat-0570")],
            }
            for i, name in enumerate(STATIONS)
        ],
        map={
            "places": [
                {"node": "gs-tokyo", "lat_deg": 35.7, "lon_deg": 139.7},
                {"node": "gs-paris", "lat_deg": 48.9, "lon_deg": 2.4},
            ],
            "satellites": [0, 0, 30, 60, -20, -70, 50, 100],
            "paths": [[(35.7, 139.7), (50.0, 100.0), (48.9, 2.4)]],
        },
        panels=[
            {
                "protocol": "traffic",
                "title": "Traffic",
                "widgets": [
                    {
                        "kind": "facts",
                        "rows": [["probes answered", "3,114 of 132 pairs"], ["probes lost", "0 (0.00%)"]],
                    },
                    {
                        "kind": "chart",
                        "title": "Round trips",
                        "x_label": "scenario time in s",
                        "y_label": "ms",
                        "x": [0.0, 10.0, 20.0, 30.0, 40.0],
                        "series": [{"name": "all", "values": [150.0, 160.0, None, 170.0, 140.0]}],
                    },
                ],
            },
            {
                "protocol": "plurality",
                "title": "Plurality consensus",
                "widgets": [
                    {
                        "kind": "bars",
                        "title": "opinions",
                        "rows": [("red", 0.75, "24 agents"), ("blue", 0.25, "8 agents")],
                    },
                ],
            },
        ],
        events=[
            {"t_s": 3.0 * i, "node": f"gs-{STATIONS[i]}", "kind": "flow-started", "text": f"peer=gs-{STATIONS[-1 - i]}"}
            for i in range(12)
        ]
        + [{"t_s": t_s - 1.0, "node": "", "kind": "action", "text": "hold links=gs-tokyo:up"}],
        detail={
            "name": "gs-tokyo:up",
            "kind": "link",
            "facts": [("leads to", "sat-0000"), ("state", "up"), ("delay asked", "2.800 ms")],
            "widgets": [
                {"kind": "listing", "title": "links", "columns": ["end", "drops"], "rows": [["gs-tokyo:up", "12"]]}
            ],
            "events": [{"t_s": 40.2, "node": "", "kind": "action", "text": "hold links=gs-tokyo:up"}],
        },
    )
    return {**shown, **more}


def check_golden(name, text):
    """Compare with the file `name`; SKYLOOM_GOLDEN=write makes it anew, to be read before it is committed."""
    path = GOLDEN / name
    text = "\n".join(line.rstrip() for line in text.split("\n"))
    if os.environ.get("SKYLOOM_GOLDEN") == "write":
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    assert text == path.read_text()
