"""Faults put into copies of the engine's sources, one at a time, to see that the differential tests find each.

Run by hand: `python tests/conformance/link/mutants.py [word…]` compiles every fault (whose description has all of the
words) and plays random scripts and networks on it until one differs from the model. Invariant: each fault changes what
the engine does; what no test finds is printed and makes the exit code 1.
"""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
if __name__ == "__main__":  # pytest has these folders already
    sys.path[:0] = [str(HERE), str(HERE.parents[1]), str(HERE.parents[1] / "support"), str(ROOT)]

from mutant_lists import Mutant, read_mutants  # noqa: E402

SOURCES = ROOT / "emulator" / "link" / "engine"
ROUNDS = 1200  # of five scripts and a network each
CPU_S = 600  # what a process may take for them: more means that the engine never ends
FLAGS = ("-std=c11", "-D_GNU_SOURCE", "-O1", "-ffp-contract=off", "-fno-strict-aliasing", "-fPIC", "-shared",
         "-fvisibility=hidden", "-pthread", "-w")  # fmt: skip


MUTANTS = read_mutants(HERE / "mutants.txt")


def compile_mutant(folder: Path, *mutants: Mutant) -> Path:
    """A library with these changes and what else lies in `folder`; ValueError where a place is no longer there."""
    library = folder / "libengine.so"
    for path in [*SOURCES.glob("*.c"), *SOURCES.glob("*.h")]:
        text = path.read_text()
        for mutant in mutants:
            if path.name == mutant.file:
                text = mutant.applied(text)
        (folder / path.name).write_text(text)
    names = sorted(str(path) for path in folder.glob("*.c"))
    subprocess.run(["cc", *FLAGS, "-o", str(library), *names, "-lm"], check=True)
    return library


def hunt() -> str:
    """Play scripts and networks on the engine that SKYLOOM_ENGINE names until one differs; what was found, or ""."""
    import conftest  # noqa: F401  (Hypothesis without a deadline, which a busy machine would miss)
    import test_hosts_differential as split
    import test_hosts_hostile as hostile
    import test_network_differential as networks
    import test_trunk_protocol as protocol
    from scripts import Dice, script, setting
    from test_differential import compared
    from test_hosts_differential import handovers, random_split
    from test_network_differential import case, difference, engine_story, lanes_apart, model_story
    from test_network_differential import script as script_of_network

    for test in (
        networks.test_packets_that_come_at_one_time_keep_their_order_where_no_delay_lies_between_lanes,
        networks.test_a_queue_that_changes_lanes_leaves_no_wake_behind,
        split.test_a_packet_that_comes_late_waits_for_the_last_departure_before_its_end_changed_hosts,
    ):
        try:
            test()
        except AssertionError:
            return test.__name__
    for name in (name for name in dir(protocol) if name.startswith("test_")):
        try:
            getattr(protocol, name)()
        except AssertionError:
            return name
    for number in range(1, ROUNDS + 1):
        try:
            for place in range(5):
                dice = Dice(f"mutant/{number}/{place}")
                chosen = setting(dice)
                if compared(chosen, script(dice, chosen)):
                    return f"script {5 * number + place - 4}"
            dice = Dice(f"mutant network/{number}")
            made, lanes = case(dice), dice.choice([1, 2, 3])
            steps = script_of_network(dice, made)
            apart = lanes_apart(dice, made, lanes) if lanes > 1 and dice.chance(0.5) else None
            if difference(model_story(made, steps), engine_story(made, steps, lanes, False, apart)):
                return f"network {number}"
            if random_split(f"mutant split/{number}")():
                return f"split network {number}"
            if handovers(f"mutant handovers/{number}")():
                return f"handovers {number}"
            for kind in (hostile.any_network, hostile.chain):
                with suppress(hostile.TooLate):
                    if kind(f"mutant hosts/{number}")():
                        return f"{kind.__name__} of hosts whose trunks take time {number}"
        except AssertionError as error:
            return f"an assertion in round {number}: {str(error)[:60]}"
    return ""


def main(words: list[str]) -> int:
    missed = 0
    for mutant in MUTANTS:
        if not all(word in mutant.what for word in words):
            continue
        with tempfile.TemporaryDirectory(prefix="skyloom-mutant-") as folder:
            environment = {**os.environ, "SKYLOOM_ENGINE": str(compile_mutant(Path(folder), mutant))}
            command = [sys.executable, str(HERE / "mutants.py"), "--hunt"]
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
            found = done.stdout.strip()
            if done.returncode == -signal.SIGXCPU:
                found = "it never ended"
            elif done.returncode:
                found = f"it ended with {done.returncode}"
        missed += not found
        print(f"{mutant.file:12} {mutant.what:60} {'found: ' + found if found else 'NOT FOUND'}", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    if sys.argv[1:] == ["--hunt"]:
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S + 1))
        print(hunt())
    else:
        raise SystemExit(main(sys.argv[1:]))
