"""`skyloom validate leo-access`: runs terminals at a site, and holds what they see against what was measured there.

Invariant: all runs are over before anything heavy is loaded (a run is forked from this process), and every figure that
is judged comes from packets that crossed the relay; only the choice of satellites is looked at without packets.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from emulator.model.printable import aligned, printable

if TYPE_CHECKING:
    from emulator.model.network import Floats
    from scenarios.leo_access.emulated import Emulated
    from scenarios.leo_access.measured import Measured
    from scenarios.leo_access.scoring import Score

RIVALS = ("celestial", "starrynet", "opensn")
RIVAL_OPTIONS = ("hours=0-2", "terminals=1", "flow=0 s", "probing=16 s")
LATE, PAST = 75, 1


@dataclass(frozen=True, slots=True)
class Outcome:
    """All that a validation found."""

    site: str
    found: list[Score]
    emulated: Emulated
    rivals: dict[str, Emulated]
    measured: Measured
    folders: list[str]
    delivered: dict[str, Floats]  # share of the link's rate, by direction


def leo_access(
    site: Annotated[str, typer.Option(help="Latitude and longitude of the terminals, such as 52.27,8.05.")],
    data: Annotated[Path, typer.Option(help="Folder of measurements: WetLinks, mmsys24, LEOViz files.")],
    gateways: Annotated[str, typer.Option(help='"near", names with commas between, or an XML file.')] = "near",
    pop: Annotated[str, typer.Option(help="Point of presence; the nearest one by default.")] = "",
    hours: Annotated[str | None, typer.Option(help="Local hours, as 0-23; those of the data by default.")] = None,
    elements: Annotated[
        Path | None, typer.Option("--elements", "--tle", help="Element sets instead of the shell.")
    ] = None,
    tolerance: Annotated[
        float | None, typer.Option(help="Largest relative error, such as 0.15; each figure has its own by default.")
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Runs, each with a flow a terminal; more are surer.")] = 1,
    flows: Annotated[bool, typer.Option("--flows/--no-flows", help="Whether TCP is measured, too.")] = True,
    rivals: Annotated[bool, typer.Option("--rivals/--no-rivals", help="Whether rivals' rules are run, too.")] = True,
    satellites: Annotated[
        bool, typer.Option("--satellites/--no-satellites", help="Whether serving satellites are looked at, too.")
    ] = True,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Another value for a key of the scenario.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the first round.")] = 1,
    runs: Annotated[Path, typer.Option(help="Where run folders are made.")] = Path("runs"),
    figures: Annotated[Path | None, typer.Option(help="Folder for drawings; in the last run's by default.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print a JSON object with every figure.")] = False,
) -> None:
    """Score the LEO access model against Starlink measurements of a site. Ends with 1 past the tolerances."""
    from emulator.model.errors import UsageError
    from emulator.model.tables import ParameterError
    from scenarios.leo_access.measured import read_folder
    from scenarios.leo_access.recipe import hours_of, site_of

    if tolerance is not None and not 0 < tolerance < 100:
        raise UsageError(f"--tolerance {tolerance:g}; expected a share above 0, such as 0.15")
    try:
        lat_deg, lon_deg = site_of(site)
        if hours is not None:
            hours_of(hours)
    except ParameterError as error:
        raise UsageError(f"--{error.key} {error}") from None
    measured = read_folder(data, lat_deg, lon_deg)
    named = str(Path(gateways).absolute()) if Path(gateways).is_file() else gateways
    asked = [f"site={site}", f"gateways={named}", f"pop={pop}"]
    asked.append(f"hours={hours or ','.join(map(str, measured.hours(lon_deg)))}")
    gap_s = measured.gap_s()
    asked += [f"server_delay={gap_s!r} s"] if gap_s is not None else []
    asked += [] if flows and measured.boxes else ["flow=0 s"]
    own = list(overrides or ())
    folders, late = [], False
    for place in range(rounds):
        folder, code = _play([*asked, *own, f"seed={seed + place}"], elements, runs)
        folders.append(folder)
        late = late or code == LATE
    of_rivals = {}
    for rival in RIVALS if rivals else ():
        of_rivals[rival], code = _play(
            [*asked, *RIVAL_OPTIONS, *own, f"terminal={rival}", f"seed={seed}"], elements, runs
        )
    found = _score(measured, site, folders, tolerance, elements if satellites else None, satellites, seed)
    outcome = Outcome(
        site, found[0], found[1], {name: _read([path]) for name, path in of_rivals.items()}, measured,
        [str(path) for path in folders], _delivered(folders) if found[1].flows else {},
    )  # fmt: skip
    drawn = _draw(outcome, figures or folders[-1] / "validation")
    sys.stdout.write(printable(as_json(outcome) if json else as_text(outcome, drawn)))
    raise typer.Exit(PAST if any(score.past for score in outcome.found) else LATE if late else 0)


def _play(overrides: list[str], elements: Path | None, runs: Path) -> tuple[Path, int]:
    """One run and its exit code; ends the command where it failed or was interrupted."""
    from emulator.cli.play import play
    from emulator.scenario import load
    from emulator.ui import LiveScreen

    scenario = load("leo_access", overrides=overrides, elements=elements)
    played = play(scenario, runs, LiveScreen(enabled=False, scenario=scenario.name))
    if played.exit_code not in (0, LATE):
        raise typer.Exit(played.exit_code)
    return played.folder.path, played.exit_code


def _read(folders: list[Path]) -> Emulated:
    from emulator.record.load import load_run
    from scenarios.leo_access.emulated import read, together

    return together(read(load_run(folder)) for folder in folders)


def _delivered(folders: list[Path]) -> dict[str, Floats]:
    import numpy as np

    from emulator.record.load import load_run
    from scenarios.leo_access.efficiency import delivered
    from scenarios.leo_access.emulated import DOWN, UP

    runs = [load_run(folder) for folder in folders]
    return {way: np.concatenate([delivered(run, way) for run in runs]) for way in (DOWN, UP)}


def _score(
    measured: Measured,
    site: str,
    folders: list[Path],
    tolerance: float | None,
    elements: Path | None,
    satellites: bool,
    seed: int,
) -> tuple[list[Score], Emulated]:
    from scenarios.leo_access import serving
    from scenarios.leo_access.scoring import scores

    emulated = _read(folders)
    found = scores(measured, emulated, tolerance)
    if satellites:
        for seen in measured.serving:
            found += serving.against(seen, site, elements or measured.satellites, seed)
        if not measured.serving:
            found += serving.published(seed)
    return found, emulated


def as_json(outcome: Outcome) -> str:
    """The whole outcome as a JSON object; null for what there is not."""
    from json import dumps

    from scenarios.leo_access.scoring import worst

    largest = worst(outcome.found)
    document = {
        "site": outcome.site,
        "passed": not any(score.past for score in outcome.found),
        "worst": None if largest is None else f"{largest.group}, {largest.name}",
        "worst_error": None if largest is None else _plain(largest.error),
        "figures": [
            {name: _plain(getattr(score, name)) for name in ("group", "name", "unit", "measured", "emulated", "error",
             "relative", "tolerance", "scatter", "past", "count")}
            for score in outcome.found
        ],
        "rivals": {
            name: dict(zip(("q1", "median", "q3"), map(_plain, _quartiles(seen).tolist()), strict=True))
            for name, seen in outcome.rivals.items()
        },
        "delivered": {way: _plain(_median(shares)) for way, shares in outcome.delivered.items()},
        "notes": outcome.measured.notes,
        "runs": outcome.folders,
    }  # fmt: skip
    return dumps(document, indent=2, ensure_ascii=False) + "\n"


def as_text(outcome: Outcome, drawn: list[Path]) -> str:
    """A table of figures and errors, the worst one, the rivals, and where the drawings are."""
    from scenarios.leo_access.scoring import worst

    rows = []
    for score in outcome.found:
        error = f"{score.error:+.1%}" if score.relative else f"{score.error:+.3g}"
        scatter = "" if not _is_number(score.scatter) else f"± {score.scatter:.1%}"
        allowed = "" if not _is_number(score.tolerance) else _tolerance(score)
        mark = "past" if score.past else ""
        rows.append(
            (score.group, score.name, _number(score.measured), _number(score.emulated), score.unit,
             error if _is_number(score.error) else "", scatter, allowed, mark, str(score.count))
        )  # fmt: skip
    head = ("figure", "", "measured", "emulated", "", "error", "by chance", "allowed", "", "values")
    text = [aligned(head, rows)]
    largest = worst(outcome.found)
    if largest is not None:
        text.append(f"\nworst relative error: {largest.error:+.1%} ({largest.group}, {largest.name})\n")
    for name, seen in outcome.rivals.items():
        q1, median, q3 = _quartiles(seen)
        text.append(f"rule of {name}: bent-pipe round trips with quartiles of {q1:.1f}, {median:.1f}, {q3:.1f} ms\n")
    for way, shares in outcome.delivered.items():
        text.append(f"TCP {way} delivered {_median(shares):.1%} of the link's rate (median of {len(shares)})\n")
    text += [f"left out: {note}\n" for note in outcome.measured.notes]
    text += [f"drawing: {path}\n" for path in drawn]
    passed = not any(score.past for score in outcome.found)
    text.append("within the tolerances\n" if passed else "past the tolerances\n")
    return "".join(text)


def _draw(outcome: Outcome, folder: Path) -> list[Path]:
    from emulator.model.errors import DataError
    from emulator.report import drawing
    from scenarios.leo_access import drawings

    paths = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for made in drawings.of_validation(outcome.measured, outcome.emulated, outcome.rivals):
            path = folder / f"{made.name}.svg"
            path.write_text(drawing.svg(made.figure))
            paths.append(path)
    except OSError as error:
        raise DataError(f"{error.filename}: {error.strerror}; expected a folder for drawings") from None
    return paths


def _quartiles(seen: Emulated) -> Floats:
    import numpy as np

    from scenarios.leo_access.emulated import BENT_PIPE, pooled

    values = pooled(seen.singles_s(BENT_PIPE)) * 1e3
    quartiles: Floats = np.percentile(values, [25, 50, 75]) if len(values) else np.full(3, np.nan)
    return quartiles


def _median(values: Floats) -> float:
    import numpy as np

    return float(np.median(values)) if len(values) else float("nan")


def _tolerance(score: Score) -> str:
    return f"{score.tolerance:.0%}" if score.relative else f"{score.tolerance:g}"


def _is_number(value: float) -> bool:
    from math import isfinite

    return isfinite(value)


def _number(value: float) -> str:
    return f"{value:.4g}" if _is_number(value) else "-"


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not _is_number(value) else value
