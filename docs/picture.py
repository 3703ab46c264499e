"""Makes docs/run-leo.svg from a real run: `skyloom run leo` in a tmux window, its screen captured while it plays.

python docs/picture.py          needs tmux
"""

import subprocess
import time
from pathlib import Path

from rich.console import Console
from rich.text import Text

WIDTH, HEIGHT = 118, 36
SESSION = "skyloom-picture"


def tmux(*words: str) -> str:
    return subprocess.run(["tmux", *words], check=True, capture_output=True, text=True).stdout


def main() -> None:
    here = Path(__file__).parent
    command = f"{here.parent}/.venv/bin/skyloom run leo --duration 40s --runs /tmp/skyloom-picture"
    tmux("new-session", "-d", "-s", SESSION, "-x", str(WIDTH), "-y", str(HEIGHT), command)
    try:
        deadline = time.monotonic() + 60
        while "00:2" not in tmux("capture-pane", "-p", "-t", SESSION):
            if time.monotonic() > deadline:
                raise SystemExit("the run did not come to its twentieth second")
            time.sleep(0.2)
        screen = tmux("capture-pane", "-e", "-p", "-t", SESSION)
    finally:
        subprocess.run(["tmux", "kill-session", "-t", SESSION], check=False)
    with open("/dev/null", "w") as nowhere:
        console = Console(record=True, width=WIDTH, file=nowhere, force_terminal=True, color_system="truecolor")
        console.print(Text.from_ansi(screen.rstrip("\n")))
        console.save_svg(str(here / "run-leo.svg"), title="skyloom run leo")


if __name__ == "__main__":
    main()
