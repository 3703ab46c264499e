"""Runs that are only pretended: each has a folder with a verdict at once, and ends as a test wants it to."""

from types import SimpleNamespace

from emulator.cli import play as playing
from emulator.record.folder import RunFolder
from emulator.record.verdict import Outcome, Verdict

SCENARIO = """
name = "small"
topology = "topologies.links"
seed = 5
[[link]]
a = "a"
b = "b"
delay = "10 ms"
"""


class Pretended:
    """Stands in for `play`: `ends` maps the number of a call to an exit code or to an exception."""

    def __init__(self):
        self.played = []
        self.spread = []  # hosts and cluster of each
        self.ends = {}
        self.before_end = lambda number: None

    def __call__(self, scenario, runs, screen, hosts=None, cluster=None):
        number = len(self.played)
        delay_s = scenario.tables.link[0].delay_s
        self.played.append((delay_s, scenario.seed))
        self.spread.append((hosts, cluster))
        end = self.ends.get(number, 0)
        if isinstance(end, Exception):
            raise end
        folder = RunFolder.create(runs, scenario.name)
        snapshots = iter([{"phase": "play", "t_s": 0.5, "duration_s": 1.0}])
        assert not screen.follow(SimpleNamespace(receive=lambda: next(snapshots, None)))
        verdict = Verdict(scenario.name, scenario.seed, summary={"rounds": 100 * delay_s + scenario.seed, "win": True})
        verdict.expectations = [Outcome("summary.win", "equals True", end == 0, end == 0)]
        verdict.verdict, verdict.exit_code = "pass" if end == 0 else "fail", end
        folder.write_verdict(verdict.to_json())
        self.before_end(number)
        return playing.Played(folder, end, end == 130)
