"""Makes the pictures of docs/pictures/, all from real runs, which it makes itself.

    python docs/pictures.py             all of them, about eleven minutes
    python docs/pictures.py leo decodes some scenes
    python docs/pictures.py --draft     late ones, too: to see how they look

Screens are those of a terminal in tmux; pages are opened in headless Chromium; decodes are what tshark prints. Needs
tmux, tshark, chromium-headless-shell. Invariant: no screen of a run that was late is taken; its scene is
played again.
"""

from __future__ import annotations

import html
import io
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import CONSOLE_SVG_FORMAT, Console
from rich.text import Text

PICTURES = Path(__file__).parent / "pictures"
WIDTH, HEIGHT = 110, 34
ATTEMPTS = 4
SETTLE_S = 1.2  # after a key: the run is asked for other rows, and the next frame has them
PATIENCE_S = 150.0
LATE_TOO = (0, 75)  # exit codes of runs of which only the packets are shown
MOST_BYTES = 250_000
FONTS = "ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace"
SVG = re.sub(r"@font-face \{\{.*?\}\}", "", CONSOLE_SVG_FORMAT, flags=re.S).replace("Fira Code, monospace", FONTS)

Scene = Callable[["Stage"], None]
SCENES: dict[str, Scene] = {}


class Late(Exception):
    """The screen says that the run is late, or warns."""


def scene(function: Scene) -> Scene:
    """Make a function known by its name; `_` is `-` on the command line."""
    SCENES[function.__name__.replace("_", "-")] = function
    return function


class Stage:
    """An empty folder in which commands run as a user types them; paths on the screen are relative to it."""

    def __init__(self, folder: Path, draft: bool) -> None:
        self.folder = folder
        self.draft = draft
        ours = Path(sys.executable).parent
        self.environment = {
            "PATH": f"{ours}:{os.environ['PATH']}", "HOME": str(folder), "COLORTERM": "truecolor", "LANG": "C.UTF-8",
            "TERM": "xterm-256color", "PS1": "$ ",
        }  # fmt: skip

    def shell(self, command: str, accept: tuple[int, ...] = (0,)) -> str:
        """The standard output of a command."""
        done = subprocess.run(
            command, shell=True, cwd=self.folder, env=self.environment, capture_output=True, text=True
        )
        if done.returncode not in accept:
            if done.returncode == 75 and self.draft:
                return done.stdout
            if done.returncode == 75:
                raise Late(command)
            raise SystemExit(f"{command}\n{done.stdout}{done.stderr}ended with {done.returncode}")
        return done.stdout

    @contextmanager
    def screen(self, command: str, height: int = HEIGHT) -> Iterator[Screen]:
        """A terminal in which the command runs; it is closed in the end."""
        socket = f"skyloom-pictures-{os.getpid()}"
        size = ("-x", str(WIDTH), "-y", str(height))
        names = [f"{name}={value}" for name, value in self.environment.items() if name != "TERM"]
        screen = Screen(self, socket, command)
        screen.tmux("new-session", "-d", "-c", str(self.folder), *size, "env", *names, "bash", "--norc")
        try:
            screen.tmux("set", "-g", "status", "off")
            screen.tmux("resize-window", *size)
            screen.press(command, "Enter")
            yield screen
        finally:
            screen.tmux("kill-server")
            screen.wait_for_end()

    def save(self, name: str, screen: str, title: str) -> None:
        """Coloured text as an SVG file."""
        text = Text.from_ansi(screen.rstrip("\n"))
        if str(self.folder) in text.plain:
            raise SystemExit(f"{name}: a path of this machine is on the screen")
        console = Console(
            record=True,
            width=WIDTH,
            file=io.StringIO(),
            force_terminal=True,
            color_system="truecolor",
            legacy_windows=False,
        )
        console.print(text)
        svg = console.export_svg(title=title, code_format=SVG, unique_id=f"of-{name}")
        write(f"{name}.svg", placed(svg).encode())

    def decode(self, name: str, command: str, keep: Callable[[list[str]], list[str]]) -> None:
        """What a tshark command prints, as an SVG file."""
        lines = keep(self.shell(command).splitlines())
        if not lines:
            raise SystemExit(f"{name}: {command} has decoded nothing")
        words = [
            f"\x1b[1m$ {command}\x1b[0m",
            *(line if len(line) <= WIDTH else f"{line[: WIDTH - 1]}…" for line in lines),
        ]
        self.save(name, "\n".join(words), "tshark")

    def page(self, name: str, path: str, width: int, height: int) -> None:
        """The top of a page, as a PNG file."""
        from PIL import Image

        shot = self.folder / f"{name}.png"
        copy = self.folder / "page.html"
        copy.write_text((self.folder / path).read_text().replace(f"{self.folder.resolve()}/", ""))
        address = copy.as_uri()
        self.shell(
            f"chromium-headless-shell --headless --no-sandbox --disable-gpu --hide-scrollbars --screenshot={shot} "
            f"--window-size={width},{height} --force-device-scale-factor=2 {shlex.quote(address)}"
        )
        data = io.BytesIO()
        Image.open(shot).convert("RGB").quantize(64, dither=Image.Dither.NONE).save(data, "PNG", optimize=True)
        write(f"{name}.png", data.getvalue())

    def figure(self, name: str, path: str) -> None:
        """A drawing of a run folder, as it is."""
        write(f"{name}.svg", (self.folder / path).read_bytes())


class Screen:
    """A terminal with the live screen in it."""

    def __init__(self, stage: Stage, socket: str, command: str) -> None:
        self._stage = stage
        self._socket = socket
        self._command = command

    def tmux(self, *words: str) -> str:
        environment = os.environ | self._stage.environment
        done = subprocess.run(
            ["tmux", "-f", "/dev/null", "-L", self._socket, *words],
            check=True,
            capture_output=True,
            text=True,
            env=environment,
        )
        return done.stdout

    def wait_for_end(self) -> None:
        """Until no run is live: the next one shall have the machine for itself."""
        until(lambda: "@skyloom/" not in Path("/proc/net/unix").read_text(), "the run to end", PATIENCE_S)

    @property
    def text(self) -> str:
        """What stands on it."""
        return self.tmux("capture-pane", "-p")

    def press(self, *keys: str) -> None:
        """Keys by tmux's names, or text."""
        for key in keys:
            self.tmux("send-keys", key)

    def panel(self, *keys: str) -> None:
        """Keys, and a moment for the rows that they ask for."""
        self.press(*keys)
        time.sleep(SETTLE_S)

    def until(self, wanted: str) -> None:
        """Wait until the screen has something that fits the regular expression."""
        until(lambda: re.search(wanted, self.text) is not None, f"{wanted!r} on the screen", PATIENCE_S)

    def until_s(self, seconds: float) -> None:
        """Wait until that scenario time."""

        def reached() -> bool:
            found = re.search(r"(\d\d):(\d\d)/\d", self.text)
            return found is not None and int(found[1]) * 60 + int(found[2]) >= seconds

        until(reached, f"{seconds} s of scenario time", PATIENCE_S)

    def take(self, name: str, good: str = "✓ ok") -> None:
        """A picture of the screen. Late where its first line has no `good`."""
        screen = self.tmux("capture-pane", "-e", "-p")
        first = Text.from_ansi(screen).plain.splitlines()[0]
        if good not in first and not self._stage.draft:
            raise Late(first)
        self._stage.save(name, screen, self._command)


def until(holds: Callable[[], bool], what: str, patience_s: float) -> None:
    """Wait for something."""
    deadline_s = time.monotonic() + patience_s
    while not holds():
        if time.monotonic() > deadline_s:
            raise SystemExit(f"waited {patience_s:g} s for {what}")
        time.sleep(0.1)


PIECE = re.compile(r'<text class="([^"]*)" x="([\d.]+)" y="([\d.]+)" textLength="([\d.]+)"([^>]*)>([^<]*)</text>')
WORDS = re.compile(r"[\u2800-\u28ff]+|[^\s\u2800-\u28ff]+(?:\s[^\s\u2800-\u28ff]+)*")  # dots, or words one space apart
DOTS = ((0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (0, 3), (1, 3))  # of a braille character, by their bits
LINE, DOT = 24.4, 3.0


def placed(svg: str) -> str:
    """With every word in its column, and dots drawn: fonts lack them or have wide ones, viewers drop leading spaces."""

    def piece(found: re.Match[str]) -> str:
        name, x, y, length, after, text = found.groups()
        letters = html.unescape(text)
        column = float(length) / len(letters)
        return "".join(word(name, float(x), float(y), column, after, each) for each in WORDS.finditer(letters))

    def word(name: str, x: float, y: float, column: float, after: str, found: re.Match[str]) -> str:
        start, letters = x + column * found.start(), found[0]
        if letters[0] < "\u2800" or letters[0] > "\u28ff":
            words = html.escape(letters).replace(" ", "&#160;").replace("\xa0", "&#160;")
            where = f'x="{start:g}" y="{y:g}" textLength="{column * len(letters):g}"'
            return f'<text class="{name}" {where}{after}>{words}</text>'
        left, top, dot = start + 1.5, y - 17.0, f"h{DOT:g}v{DOT:g}h-{DOT:g}z"
        dots = [
            f"M{left + column * (number + across / 2):.1f} {top + LINE / 4 * down:.1f}{dot}"
            for number, letter in enumerate(letters)
            for bit, (across, down) in enumerate(DOTS)
            if (ord(letter) - 0x2800) >> bit & 1
        ]
        return f'<path class="{name}" d="{"".join(dots)}"/>' if dots else ""

    return PIECE.sub(piece, svg)


def write(name: str, data: bytes) -> None:
    """A picture, if it is not too large for a page."""
    if len(data) > MOST_BYTES:
        raise SystemExit(f"{name} has {len(data):,} bytes; expected at most {MOST_BYTES:,}")
    PICTURES.mkdir(exist_ok=True)
    (PICTURES / name).write_bytes(data)
    sys.stderr.write(f"{name}: {len(data) / 1e3:.0f} kB\n")


@scene
def leo(stage: Stage) -> None:
    """The live screen of a constellation: every panel, a fault, and the help."""
    with stage.screen("skyloom run leo") as screen:
        screen.until_s(20)
        screen.take("leo-overview")
        screen.panel("6")
        screen.take("leo-map")
        screen.panel("5")
        screen.take("leo-contacts")
        screen.panel("3")
        screen.take("leo-links")
        screen.panel("2")
        screen.panel("?")
        screen.take("help")
        screen.panel("Escape")  # alone: what follows at once would be taken for the rest of a key
        screen.panel("3", "/", "gs-tokyo:up", "Enter")
        screen.panel("f")
        screen.panel(*["Down"] * 6)
        screen.take("leo-faults")
        screen.panel("Enter", "Enter")
        screen.until_s(int(re.findall(r":(\d\d)/", screen.text)[0]) + 5)
        screen.take("leo-link")
        screen.until(r"run folder")
    with stage.screen("skyloom watch leo") as screen:
        screen.until(r"\d\d:\d\d/\d")
        screen.panel("5", "PPage", "PPage", "Left")
        screen.take("watch-finished", "")


@scene
def plurality(stage: Stage) -> None:
    with stage.screen(
        "skyloom run plurality --set agents=64 --set opinions=8 --set protocol=undecided --set latency=800ms"
    ) as screen:
        screen.until(r"\d\d:\d\d/")
        screen.press("4")
        screen.until_s(9)
        screen.take("plurality")


@scene
def amnesiac(stage: Stage) -> None:
    with stage.screen(
        "skyloom run amnesiac --set graph=petersen --set adversary=random:seed=3 --set slot=1s"
    ) as screen:
        screen.until(r"\d\d:\d\d/")
        screen.press("4")
        screen.until_s(20)
        screen.take("amnesiac")


@scene
def explore(stage: Stage) -> None:
    with stage.screen("skyloom run explore --set graph=ring:12 --set interval=8 --set delay=150ms") as screen:
        screen.until(r"\d\d:\d\d/")
        screen.press("4")
        screen.until_s(10)
        screen.take("explore")


@scene
def lemonshark(stage: Stage) -> None:
    with stage.screen("skyloom run lemonshark --set faults.crash=1 --set faults.at=20s --duration 45s") as screen:
        screen.until(r"\d\d:\d\d/")
        screen.press("4")
        screen.until_s(32)
        screen.take("lemonshark")


@scene
def ibc(stage: Stage) -> None:
    """Chains and relayers: the panel, then a relayer that is killed, and what it asked chains before."""
    with stage.screen("skyloom run ibc --set chains=4 --set relayers=2 --set load.packets_per_s=40") as screen:
        screen.until(r"\d\d:\d\d/")
        screen.press("4")
        screen.until_s(54)
        screen.take("ibc")
    stage.shell("skyloom run ibc --set load.packets_per_s=40 --set faults.relayers=1 --capture relayer-1")
    stage.shell("skyloom report ibc")
    for name in ("ibc-stages", "ibc-backlog"):
        stage.figure(name, f"runs/ibc/latest/figures/{name}.svg")
    stage.decode(
        "decode-ibc",
        "tshark -r runs/ibc/latest/capture.pcapng -Y 'http.request.method == POST' -T fields -E separator=/s "
        "-e frame.time_relative -e ip.dst -e json.value.string",
        lambda lines: lines[120:136],
    )


@scene
def xroute(stage: Stage) -> None:
    """Messages over several chains, and the hub beside them, which falls behind."""
    stage.shell("skyloom run xroute")
    stage.shell("skyloom report xroute")
    stage.figure("xroute-messages", "runs/xroute/latest/figures/xroute-messages.svg")


@scene
def report_leo(stage: Stage) -> None:
    stage.shell("skyloom run leo --duration 40s")
    stage.shell("skyloom report leo")
    stage.page("report-leo", "runs/leo/latest/report.html", 1000, 1100)


@scene
def report_lemonshark(stage: Stage) -> None:
    """Two runs of validators, one of them with a crash and a recovery: its report, and both compared."""
    run = "skyloom run lemonshark --duration 40s"
    stage.shell(run)
    before = (stage.folder / "runs/lemonshark/latest").readlink()
    stage.shell(f"{run} --set faults.crash=1 --set faults.at=12s --set faults.restart_after=12s")
    stage.shell("skyloom report lemonshark")
    stage.page("report-lemonshark", "runs/lemonshark/latest/report.html", 1000, 1100)
    stage.shell(f"skyloom compare runs/lemonshark/{before} lemonshark --figures both")
    stage.page("compare", "both/compare.html", 1000, 1100)


@scene
def decodes(stage: Stage) -> None:
    """Captures of three protocols, as tshark decodes them with the installed dissectors."""
    stage.shell("skyloom capture --install-wireshark")
    stage.shell("skyloom run lemonshark --set validators=4 --duration 12s --capture v1", LATE_TOO)
    capture = "tshark -r runs/lemonshark/latest/capture.pcapng"
    stage.decode("decode-lemonshark", f"{capture} -Y 'skyloom.dagbft && frame.number > 400'", lambda lines: lines[:24])
    stage.decode(
        "decode-certificate",
        f"{capture} -Y skyloom.dagbft.certificate.round -V -O skyloom.dagbft",
        lambda lines: lines[:34],
    )
    stage.shell("skyloom run amnesiac --capture '*'", LATE_TOO)
    stage.decode(
        "decode-flooding", "tshark -r runs/amnesiac/latest/capture.pcapng -Y skyloom.amnesiac", lambda lines: lines
    )
    stage.shell("skyloom run leo --duration 10s --capture gs-tokyo:up", LATE_TOO)
    stage.decode(
        "decode-probe", "tshark -r runs/leo/latest/capture.pcapng -Y skyloom.probe -V -O skyloom.probe -c 60",
        lambda lines: lines[:26],
    )  # fmt: skip


@scene
def space_time(stage: Stage) -> None:
    """Messages between validators."""
    stage.shell("skyloom run lemonshark --set validators=4 --duration 8s --capture 'v*'", LATE_TOO)
    stage.shell("skyloom report lemonshark --window 4s:4.2s")
    stage.figure("messages", "runs/lemonshark/latest/figures/space-time.svg")


def main(words: list[str]) -> None:
    draft, names = "--draft" in words, [word for word in words if word != "--draft"]
    for name in names:
        if name not in SCENES:
            raise SystemExit(f"scene {name!r}; expected some of {', '.join(SCENES)}")
    late = []
    for name in names or list(SCENES):
        for attempt in range(ATTEMPTS):
            with tempfile.TemporaryDirectory(prefix="skyloom-", ignore_cleanup_errors=True) as folder:
                try:
                    SCENES[name](Stage(Path(folder), draft))
                    break
                except Late as error:
                    sys.stderr.write(f"{name}, attempt {attempt + 1}: {error}\n")
        else:
            late.append(name)
    if late:
        raise SystemExit(f"late each time, so that old pictures stay: {', '.join(late)}")


if __name__ == "__main__":
    main(sys.argv[1:])
