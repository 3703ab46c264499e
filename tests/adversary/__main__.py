"""The long search, and the search for mutants: see the package's own words."""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "support"))  # pytest has it already

from . import committees, mutants, plans, schedules, uncertified
from .verdict import Fault

SEARCHES: dict[str, Callable[[int], Counter[str]]] = {
    "schedules": schedules.play, "committees": committees.play, "uncertified": uncertified.play
}  # fmt: skip
SAID = {
    "rounds": "rounds", "schedules": "schedules", "committees": "committees of whole primaries",
    "moved": "of both in which the floor passed all that was kept at first", "commits": "commits",
    "places": "early places compared", "early results": "early results compared", "results": "committed results",
    "replays": "replays compared", "restarts": "restarts of whole validators", "wipes": "lost disks",
    "liars": "liars among primaries",
}  # fmt: skip
FAULTS = {"fork": "forks", "mode": "modes apart", "place": "wrong places", "result": "wrong results",
          "early result": "wrong early results", "replay": "replay differences", "stuck": "stuck committees",
          "vote": "second votes", "blame": "honest ones blamed", "error": "errors"}  # fmt: skip


def search(rounds: int, first: int, share: int) -> int:
    """Play until so many rounds are over: `share` schedules for each committee. The number of faults."""
    counts: Counter[str] = Counter()
    faults: Counter[str] = Counter()
    begin = said = time.monotonic()
    seed = first
    while counts["rounds"] < rounds:
        name = "committees" if share and seed % (share + 1) == share else "schedules"
        try:
            counts += SEARCHES[name](seed)
        except Exception as error:
            kind = error.kind if isinstance(error, Fault) else "error"
            faults[kind] += 1
            print(f"{name} {seed}: {error}", flush=True)
            if kind == "error":
                traceback.print_exc()
        seed += 1
        if time.monotonic() - said > 60:
            said = time.monotonic()
            print(f"{said - begin:.0f} s: {counts['rounds']} rounds, {sum(faults.values())} faults", flush=True)
    print(f"\n{time.monotonic() - begin:.0f} s, seeds {first} to {seed - 1}")
    for name, text in SAID.items():
        print(f"{counts[name]:>12} {text}")
    for kind, name in FAULTS.items():
        print(f"{faults[kind]:>12} {name}")
    return sum(faults.values())


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.adversary", description=__doc__)
    parser.add_argument("--rounds", type=int, default=20_000, help="to play in all")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--share", type=int, default=19, help="schedules for each committee; 0: no committees")
    parser.add_argument("--seed", type=int, help="play one schedule, and say what it is made of")
    parser.add_argument("--committee", type=int, help="play one committee of whole primaries, and say what happens")
    parser.add_argument("--mutants", nargs="*", metavar="WORD", help="find the mutants that have all these words")
    parser.add_argument("--hunt", metavar="SEARCH", help=argparse.SUPPRESS)
    parser.add_argument("--most", type=int, default=600, help="schedules until a mutant counts as not found")
    given = parser.parse_args()
    if given.hunt:
        print(mutants.hunt(SEARCHES[given.hunt], given.most))
        return 0
    if given.mutants is not None:
        return mutants.table(given.mutants, given.most)
    if given.seed is not None:
        print(schedules.Setting.draw(given.seed))
        print(schedules.play(given.seed))
        return 0
    if given.committee is not None:
        print(plans.Plan.draw(given.committee))
        print(committees.play(given.committee))
        return 0
    return min(search(given.rounds, given.first, given.share), 1)


if __name__ == "__main__":
    sys.exit(main())
