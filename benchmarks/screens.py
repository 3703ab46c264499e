"""One picture drawn four times a second by our screen and by Textual, each in a process of its own behind a pty.

The picture has 120 × 40 characters: a line of text, two tables of 6 columns and 14 rows of which a third of the cells
change each time, and a chart of two lines over 120 moving points. Our screen draws it whole and writes the lines that
differ; Textual is told the cells that changed. `textual` draws the chart with textual-plotext, `textual-frame` with our
own braille chart, so that the two costs are seen apart. Shares of one core by the kernel's clock of all threads, after
WARM_S. Needs `pip install textual textual-plotext`.

    python -m benchmarks screens [--seconds 10]
"""

from __future__ import annotations

import argparse
import fcntl
import json
import math
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path
from typing import Any

from emulator.sdk.protocol import Chart, Table

WIDTH, HEIGHT = 120, 40
ROWS, COLUMNS = 14, 6
POINTS = 120
PERIOD_S = 0.25
WARM_S = 4.0
TITLES = ["link", "sent", "delivered", "lost", "delay ms", "queue kB"]
KINDS = ("ours", "textual", "textual-frame")
IMPORTS = {
    "ours": "emulator.ui.terminal.terminal, emulator.ui.widgets.layout",
    "numpy": "numpy",  # the larger part of ours, which every run imports anyway
    "textual": "textual.app, textual.containers, textual.widgets",
}


def cells(table: int, tick: int) -> list[list[str]]:
    """The rows of a table; the last two of six columns change at every tick."""
    return [
        [
            f"n{row}:n{row + table + 1}", f"{1000 * row + 17}", f"{1000 * row + 11}", f"{row % 3}",
            f"{10 + 5 * math.sin(0.3 * tick + row):.2f}", f"{(tick * 37 + row * 11) % 900}",
        ]
        for row in range(ROWS)
    ]  # fmt: skip


def curves(tick: int) -> tuple[list[float], list[list[float]]]:
    x = [(tick + at) * PERIOD_S for at in range(POINTS)]
    return x, [[20 + 8 * math.sin(at * 0.4) for at in x], [15 + 5 * math.cos(at * 0.7) for at in x]]


def chart_of(tick: int) -> Chart:
    x, (one, other) = curves(tick)
    series: Any = [{"name": "asked", "values": one}, {"name": "observed", "values": other}]
    return {"kind": "chart", "title": "delay", "x_label": "s", "y_label": "ms", "x": x, "series": series}


def head(tick: int) -> str:
    return f"skyloom  1,596 nodes  {tick * PERIOD_S:.2f} s"


def ours() -> None:
    from rich.console import Console

    from emulator.ui.terminal.lines import Frame, line
    from emulator.ui.terminal.terminal import Terminal
    from emulator.ui.widgets.chart import chart
    from emulator.ui.widgets.lines import side_by_side
    from emulator.ui.widgets.tables import listing

    def picture(tick: int, width: int, height: int) -> Frame:
        part = (width - 2) // 2
        tables: list[Table] = [
            {"kind": "listing", "title": "", "columns": TITLES, "rows": cells(table, tick)} for table in (0, 1)
        ]
        upper = side_by_side([listing(table, part, ROWS + 1) for table in tables])
        lower = chart(chart_of(tick), width, height - 1 - upper.height)
        return Frame([line(head(tick)), *upper.lines, *lower.lines])

    with Terminal(Console()) as terminal:
        due_s = time.monotonic()
        for tick in range(10**6):
            terminal.paint(picture(tick, *terminal.size))
            due_s += PERIOD_S
            terminal.wait([], max(0.0, due_s - time.monotonic()))
            if terminal.keys is None:
                return


def textual(own_chart: bool) -> None:
    from textual.app import App, ComposeResult
    from textual.containers import Horizontal
    from textual.widgets import DataTable, Static

    class Screen(App[None]):
        CSS = "DataTable { width: 1fr; height: 15; } #head { height: 1; } #chart { height: 1fr; }"

        def compose(self) -> ComposeResult:
            yield Static(head(0), id="head")
            with Horizontal(id="tables"):
                yield DataTable(id="t0", show_cursor=False)
                yield DataTable(id="t1", show_cursor=False)
            if own_chart:
                yield Static(id="chart")
            else:
                from textual_plotext import PlotextPlot

                yield PlotextPlot(id="chart")

        def on_mount(self) -> None:
            self.query_one("#tables").styles.height = ROWS + 1
            self.tick = 0
            self.shown: list[list[list[str]]] = []
            for number in (0, 1):
                table = self.query_one(f"#t{number}", DataTable)
                table.add_columns(*TITLES)
                rows = cells(number, 0)
                for at, row in enumerate(rows):
                    table.add_row(*row, key=str(at))
                self.shown.append(rows)
            self.keys = [self.query_one(f"#t{number}", DataTable).ordered_columns for number in (0, 1)]
            self.set_interval(PERIOD_S, self.update)

        def update(self) -> None:
            self.tick += 1
            self.query_one("#head", Static).update(head(self.tick))
            for number, before in enumerate(self.shown):
                table = self.query_one(f"#t{number}", DataTable)
                after = cells(number, self.tick)
                for at, (old, new) in enumerate(zip(before, after, strict=True)):
                    for column, (was, now) in enumerate(zip(old, new, strict=True)):
                        if was != now:
                            table.update_cell(str(at), self.keys[number][column].key, now)
                self.shown[number] = after
            self.draw()

        def draw(self) -> None:
            if own_chart:
                from emulator.ui.widgets.chart import chart

                box = self.query_one("#chart", Static)
                box.update(chart(chart_of(self.tick), box.size.width, box.size.height))
                return
            from textual_plotext import PlotextPlot

            plot = self.query_one("#chart", PlotextPlot)
            x, values = curves(self.tick)
            plot.plt.clear_data()
            for name, y in zip(("asked", "observed"), values, strict=True):
                plot.plt.plot(x, y, label=name, marker="braille")
            plot.refresh()

    Screen().run()


def cpu_s(pid: int) -> float:
    """Processor time of all threads of a process so far (the first fields of their schedstat, nanoseconds)."""
    return sum(int(path.read_text().split()[0]) for path in Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e9


def resident_mb(pid: int) -> float:
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return int(fields["VmRSS"].split()[0]) / 1024


def drain(fd: int, seconds: float) -> int:
    """Read what is written for so long; how many bytes that was."""
    end_s, count = time.monotonic() + seconds, 0
    while (left_s := end_s - time.monotonic()) > 0:
        if select.select([fd], [], [], left_s)[0]:
            count += len(os.read(fd, 1 << 16))
    return count


def measured(kind: str, seconds: float) -> dict[str, Any]:
    pid, fd = pty.fork()
    if pid == 0:
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("4H", HEIGHT, WIDTH, 0, 0))
        environment = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor", "LANG": "C.UTF-8"}
        os.execve(sys.executable, [sys.executable, "-m", "benchmarks.screens", "--draw", kind], environment)
    drain(fd, WARM_S)
    before_s, began_s = cpu_s(pid), time.monotonic()
    written = drain(fd, seconds)
    took_s = time.monotonic() - began_s
    share = (cpu_s(pid) - before_s) / took_s
    memory_mb = resident_mb(pid)
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    os.close(fd)
    return {
        "what": kind,
        "share_of_a_core": round(share, 4),
        "ms_a_frame": round(share * PERIOD_S * 1e3, 2),
        "kb_per_s": round(written / took_s / 1e3, 1),
        "memory_mb": round(memory_mb, 1),
    }


def import_s(modules: str) -> float:
    """Processor time of importing modules in a fresh interpreter, the best of three."""
    code = f"import time; begun = time.process_time(); import {modules}; print(time.process_time() - begun)"
    command = [sys.executable, "-c", code]
    return min(float(subprocess.run(command, capture_output=True, check=True).stdout) for _ in range(3))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each measurement")
    parser.add_argument("--draw", choices=KINDS, help="be the screen, on this terminal")
    options = parser.parse_args()
    if options.draw:
        ours() if options.draw == "ours" else textual(own_chart=options.draw == "textual-frame")
        return
    try:
        import textual_plotext  # noqa: F401
    except ImportError:
        sys.exit("Textual is missing: pip install textual textual-plotext")
    rows = [measured(kind, options.seconds) for kind in KINDS]
    for row in rows:
        print(json.dumps({**row, "times_ours": round(row["share_of_a_core"] / rows[0]["share_of_a_core"], 1)}))
    print(json.dumps({"what": "import", **{name: round(import_s(text), 3) for name, text in IMPORTS.items()}}))


if __name__ == "__main__":
    main()
