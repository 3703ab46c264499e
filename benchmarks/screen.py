"""What the live screen costs: CPU of `skyloom watch` on a live run of `leo`, panel by panel, on a terminal of 200 × 60.

The run (1,584 satellites, 12 stations, probes and TCP) goes on in another process; the terminal is a pseudo-terminal
that is read at once. Shares of one core over SECONDS each; the bound is 3 %.
`python -m benchmarks.screen [WIDTH HEIGHT]`.
"""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path

from emulator.ui.terminal.state import PANELS

SKYLOOM = str(Path(sys.executable).parent / "skyloom")
SECONDS, SETTLE_S = 6.0, 1.5
BOUND = 0.03


def cpu_s(pid: int) -> float:
    """CPU time of a process so far (the first field of its schedstat, nanoseconds)."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def drain(fd: int, seconds: float) -> int:
    """Read what the screen writes for so long; how many bytes that was."""
    end_s, count = time.monotonic() + seconds, 0
    while (left_s := end_s - time.monotonic()) > 0:
        if select.select([fd], [], [], left_s)[0]:
            try:
                count += len(os.read(fd, 1 << 16))
            except OSError:  # the screen has ended
                break
    return count


def wait_for_play(run: subprocess.Popen[str]) -> None:
    assert run.stderr is not None
    for line in run.stderr:
        if " play " in line:
            return
    sys.exit("leo ended before it played")


def main() -> None:
    width, height = map(int, sys.argv[1:3] or (200, 60))
    seconds = int(len(PANELS) * (SECONDS + SETTLE_S)) + 15
    with tempfile.TemporaryDirectory() as runs:
        words = [SKYLOOM, "run", "leo", "--no-tui", "--runs", runs, "--duration", f"{seconds}s"]
        run = subprocess.Popen(words, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        try:
            wait_for_play(run)
            name = next(Path(runs).glob("leo/20*")).name.rpartition("-")[2]
            watch, fd = pty.fork()
            if watch == 0:
                os.execve(SKYLOOM, [SKYLOOM, "watch", name], {**os.environ, "TERM": "xterm-256color"})
            fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("4H", height, width, 0, 0))
            drain(fd, 3.0)
            print(f"{width} × {height}, {SECONDS:g} s a panel; bound {BOUND:.0%} of a core")
            for number, panel in enumerate(PANELS, 1):
                os.write(fd, str(number).encode())
                drain(fd, SETTLE_S)
                before_s, began_s = cpu_s(watch), time.monotonic()
                written = drain(fd, SECONDS)
                took_s = time.monotonic() - began_s
                share = (cpu_s(watch) - before_s) / took_s
                print(f"  {panel:<10} {share:6.2%} of a core, {share / 4 * 1e3:5.2f} ms a frame, "
                      f"{written / took_s / 1e3:6.1f} kB/s to the terminal", flush=True)  # fmt: skip
            os.write(fd, b"q")
            drain(fd, 0.5)
            os.close(fd)
            os.waitpid(watch, 0)
        finally:
            run.send_signal(signal.SIGINT)
            run.communicate()


if __name__ == "__main__":
    main()
