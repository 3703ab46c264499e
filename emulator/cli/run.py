"""`skyloom run`: a scenario from its file to its verdict.

This process stays outside the sandbox: it forks the supervisor, shows its snapshots, passes Ctrl-C on, and ends with
the verdict's exit code.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from emulator.cli.spread import Cluster, Hosts
from emulator.model.printable import one_line

if TYPE_CHECKING:
    from emulator.cli.results import ResultFiles
    from emulator.scenario import Scenario


def run(
    scenario: Annotated[str | None, typer.Argument(help="A bundled scenario's name (see `list`) or a file.")] = None,
    duration: Annotated[str | None, typer.Option(help='How long to play, such as "60s".')] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of everything random.")] = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Another value for a key of the scenario.")
    ] = None,
    prompt: Annotated[
        str | None, typer.Option(metavar="TEXT", help="What a language model is to go on with: its key `prompt`.")
    ] = None,
    elements: Annotated[
        Path | None,
        typer.Option("--elements", "--tle", metavar="FILE", help="Element sets (TLE, OMM) instead of the shell."),
    ] = None,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Leave malformed element sets out.")] = False,
    wan: Annotated[
        str | None,
        typer.Option(metavar="MAP", help="Spread a docker-compose file over a map: a known one or a CSV file."),
    ] = None,
    image: Annotated[
        list[str] | None, typer.Option(metavar="NAME=PATH", help="Where an image of a YAML file is; may be repeated.")
    ] = None,
    topo: Annotated[
        str | None, typer.Option(help="A Mininet topology file, FILE.py or FILE.py:NAME, instead of a scenario.")
    ] = None,
    capture: Annotated[
        list[str] | None, typer.Option(metavar="NODE:PORT", help="Link ends to capture; globs; may be repeated.")
    ] = None,
    start: Annotated[
        str | None, typer.Option(metavar="UTC", help="Instant of scenario time 0, such as 2026-11-23T18:00:00Z.")
    ] = None,
    weather: Annotated[Path | None, typer.Option(metavar="CSV", help="Rain over time: t or utc, rain_mm_h.")] = None,
    metrics: Annotated[
        str | None, typer.Option(metavar="[HOST]:PORT", help="Serve live figures to Prometheus, such as :9464.")
    ] = None,
    runs: Annotated[Path, typer.Option(help="Where run folders are made.")] = Path("runs"),
    repeat: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Run N times, with N seeds; a table with 95 % intervals.")
    ] = None,
    hosts: Hosts = None,
    cluster: Cluster = None,
    junit: Annotated[Path | None, typer.Option(metavar="FILE", help="Write JUnit XML: a case an expectation.")] = None,
    summary: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Append a summary in Markdown, as for $GITHUB_STEP_SUMMARY.")
    ] = None,
    tui: Annotated[bool | None, typer.Option("--tui/--no-tui", help="Live screen, or plain lines.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print verdict.json at the end.")] = False,
) -> None:
    """Run a scenario: real processes over scheduled links, and a run folder at the end."""
    from emulator.cli import sky
    from emulator.cli.chosen import choose
    from emulator.cli.results import ResultFiles

    items = sky.overrides(start, weather) + _overrides(duration, seed, capture, prompt, overrides)
    results = ResultFiles(junit, summary)
    results.check()

    def load(more: list[str]) -> Scenario:
        return choose(scenario, topo, items + more, elements, skip_bad, wan, image or ())

    with results.telling_refusals(scenario or topo or "skyloom"):
        if repeat is None:
            code = _play(load([]), runs, tui, metrics, results, json, hosts, cluster)
        else:
            from emulator.cli.repeat import play_again

            code = play_again(load, repeat, runs, results, json, bool(tui or metrics), hosts, cluster)
    if code is not None:
        raise typer.Exit(code)


def _play(
    chosen: Scenario,
    runs: Path,
    tui: bool | None,
    metrics: str | None,
    results: ResultFiles,
    json: bool,
    hosts: int | None,
    cluster: str | None,
) -> int | None:
    """Play it, print its summary and write the files that were asked for. Exit code, None for a run that goes on."""
    from emulator.cli.play import Screen, play
    from emulator.report.predicted import words
    from emulator.report.summary import print_summary
    from emulator.ui import LiveScreen

    live = LiveScreen(enabled=tui, scenario=chosen.name)
    screen: Screen = live
    if metrics is not None:
        from emulator.ui.metrics import Exported

        screen = Exported(live, metrics)

    if chosen.prediction:
        sys.stderr.write(f"predicted: {one_line(words(chosen.prediction))}\n")
    began_s = time.monotonic()
    played = play(chosen, runs, screen, hosts, cluster)
    if played.detached:
        sys.stderr.write(
            f"detached: run {played.folder.run_id} goes on, into {one_line(str(played.folder.path))}\n"
            f"to come back to it: skyloom watch {played.folder.run_id}\n"
        )
        return None
    if results.asked:
        from emulator.report.ci.ended import ended_run

        wall_s = time.monotonic() - began_s
        results.write([ended_run(chosen.name, chosen.seed, played.exit_code, wall_s, played.folder.path)])
    if played.folder.has_verdict():  # last: nobody may read it
        print_summary(played.folder.path, as_json=json)
    return played.exit_code


def _overrides(
    duration: str | None,
    seed: int | None,
    capture: list[str] | None,
    prompt: str | None,
    overrides: list[str] | None,
) -> list[str]:
    """The dedicated options as `--set` items, the explicit `--set` last so that it wins."""
    items = []
    if duration is not None:
        items.append(f'duration="{duration}"')
    if seed is not None:
        items.append(f"seed={seed}")
    if capture:
        items.append(f"capture.links={capture!r}")
    if prompt is not None:
        from emulator.scenario.toml.writer import value_text

        items.append(f"prompt={value_text(prompt)}")
    return items + list(overrides or ())
