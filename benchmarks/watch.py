"""What watching costs: pictures of the screen, and seeking in a finished run: `python -m benchmarks.watch`.

The map has Starlink's first shell, twelve stations and four ways over ISLs. The run is made up: ten minutes of `leo`
with 100,000 samples, 10,000 events and 300 link ends a second; its folder is thrown away. CPU time, least and greatest.
"""

from __future__ import annotations

import math
import random
import select
import tempfile
import time
from pathlib import Path

from rich.console import Console

from emulator.observe.replay import Replay
from emulator.ui.widgets import draw_all, gantt, world

SIZES = ((80, 20), (120, 34), (200, 55))
SECONDS = 600
STATIONS = (
    "tokyo", "paris", "new-york", "sao-paulo", "johannesburg", "sydney", "los-angeles", "london", "delhi", "singapore",
    "lagos", "santiago",
)  # fmt: skip


def measure(what: str, call, repeats: int = 40) -> None:
    taken = []
    for _ in range(repeats):
        start = time.process_time()
        call()
        taken.append((time.process_time() - start) * 1e3)
    print(f"  {what:<46} {min(taken):8.2f} ms  (at most {max(taken):.2f} ms)")


def pictures() -> None:
    rng = random.Random(1)
    places = [{"node": f"gs-{name}", "lat_deg": rng.uniform(-50, 60), "lon_deg": rng.uniform(-180, 180)}
              for name in STATIONS]  # fmt: skip
    hop = 15.0
    ways = [[(20.0 + 10 * way, -180.0 + hop * number) for number in range(12)] for way in range(4)]
    shell = [value for _ in range(1584) for value in (rng.randrange(-53, 54), rng.randrange(-180, 180))]
    whole = {"places": places, "satellites": shell, "paths": ways}
    x = [float(number) for number in range(120)]
    chart = {
        "kind": "chart", "title": "delays", "x_label": "s", "y_label": "ms", "x": x,
        "series": [{"name": str(n), "values": [50 + n + 9 * math.sin(t / 9 + n) for t in x]} for n in range(4)],
    }  # fmt: skip
    listing = {"kind": "listing", "title": "t", "columns": list("abcd"), "rows": [["1.25", "x", "y", "z"]] * 40}
    grid = {"kind": "grid", "title": "g", "rows": [("n", "o#x." * 30)] * 20, "tones": {"o": "good"}, "legend": ""}
    panel = {"protocol": "p", "title": "P", "widgets": [chart, listing, grid]}
    contacts = [
        {"link": name, "node": name, "spans": [(t, t + 15.0, f"sat-{n}") for t in range(0, 300, 15)]}
        for n, name in enumerate(STATIONS)
    ]
    for width, height in SIZES:
        console = Console(width=width, height=height, force_terminal=True, color_system="256", record=False)
        print(f"{width} × {height}")
        measure("world map, 1,584 satellites", lambda w=width, h=height: world(whole, w, h))
        picture = world(whole, width, height)
        measure("  its way through rich", lambda c=console, p=picture: list(c.render(p)))
        measure("a chart, a listing, a grid", lambda w=width, h=height: draw_all(panel, w, h))
        measure("contacts", lambda w=width, h=height: gantt(contacts, 100.0, 0.0, 300.0, w, h))


def record(folder: Path) -> None:
    import numpy as np
    import polars as pl

    from emulator.record.links import LINK_COLUMNS
    from emulator.scenario import bundled

    source = next(one for one in bundled() if one.name == "leo").path
    folder.mkdir()
    text = source.read_text().replace('duration = "60 s"', f'duration = "{SECONDS} s"')
    (folder / "scenario.toml").write_text(text)
    rng, names = np.random.default_rng(1), np.array([f"gs-{name}" for name in STATIONS])

    def some(count: int):
        return {"t_s": np.sort(rng.uniform(0, SECONDS, count)), "node": names[rng.integers(0, 12, count)]}

    samples = some(100_000) | {"key": names[rng.integers(0, 12, 100_000)], "value": rng.uniform(0.05, 0.3, 100_000)}
    named = pl.DataFrame(samples).with_columns(program=pl.lit("probe"), name=pl.lit("rtt_s"))
    named.write_parquet(folder / "samples.parquet")
    flow = '{"peer":"gs-tokyo","bytes":1000,"duration_s":1.0}'
    pl.DataFrame(some(10_000)).with_columns(
        program=pl.lit("bulk"), kind=pl.lit("flow"), data=pl.lit(flow)
    ).write_parquet(folder / "events.parquet")
    ends = np.array([f"sat-{plane:02}{slot:02}:isl{port}" for plane in range(1, 73) for slot in range(1, 23)
                     for port in range(4)])  # fmt: skip
    rows = 300 * SECONDS
    table = {name: rng.integers(0, 3, rows) if kind == "i64" else rng.uniform(0, 1e6, rows)
             for name, kind in LINK_COLUMNS.items()}  # fmt: skip
    table |= {"t_s": np.repeat(np.arange(1.0, SECONDS + 1), 300), "interval_s": np.ones(rows),
              "end": np.concatenate([rng.choice(ends, 300, replace=False) for _ in range(SECONDS)])}  # fmt: skip
    pl.DataFrame(table).write_parquet(folder / "links.parquet")


def seeking(folder: Path) -> None:
    replay = Replay(folder, 0.0)
    replay.receive()
    began_s = time.perf_counter()
    replay.receive()
    print(f"open at the beginning {time.perf_counter() - began_s:6.2f} s")
    replay.view({"panel": "links", "rows": 60})
    for words, delta_s in (("to the end", math.inf), ("back 1 s", -1), ("back 10 s", -10), ("on 1 s", 1),
                           ("back 300 s", -300), ("on 10 s", 10), ("to the beginning", -math.inf)):  # fmt: skip
        replay.seek(delta_s)
        began_s, taken = time.perf_counter(), []
        while select.select([replay.fd], [], [], 0)[0]:
            start_s = time.perf_counter()
            replay.receive()
            taken.append(time.perf_counter() - start_s)
        whole_s = time.perf_counter() - began_s
        print(f"  {words:<20} first picture after {taken[0]:5.2f} s, whole after {whole_s:5.2f} s")


def main() -> None:
    pictures()
    with tempfile.TemporaryDirectory() as root:
        record(Path(root) / "run")
        seeking(Path(root) / "run")


if __name__ == "__main__":
    main()
