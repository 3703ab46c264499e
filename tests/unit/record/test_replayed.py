"""Which decisions of two runs are equal: made runs, of which one decides something else."""

from math import inf

import numpy as np
import pytest

from emulator.link.stats import EndStats
from emulator.model.network import (
    Effects,
    EndSpec,
    GilbertElliott,
    Handover,
    LinkSpec,
    Network,
    NodeSpec,
    PiecewiseSchedule,
    ScheduleRow,
)
from emulator.record.events import EventLog, SampleLog
from emulator.record.folder import RunFolder
from emulator.record.links import LinkLog
from emulator.record.load import load_run
from emulator.record.replayed import findings
from emulator.record.replayed.drawn import Draws
from emulator.record.replayed.finding import of_sequences
from emulator.record.verdict import Verdict
from emulator.schedule.row_digest import KeptDigests, RowDigest

SEED, DELAY_S, LOSS = 3, 0.02, 0.2
JITTER = Effects(jitter_s=0.002)
ACTION = (1.0, "", "skyloom", "action", {"do": "link-down", "links": ["a:b"]})


def network_of(effects=JITTER, schedule=None):
    schedule = schedule or PiecewiseSchedule.constant(delay_s=DELAY_S, loss=LOSS)
    nodes = (NodeSpec("a", "host", True), NodeSpec("b", "host", True))
    link = LinkSpec("a:b", 0, 1, "b", "a", EndSpec(effects, schedule), EndSpec(schedule=PiecewiseSchedule.constant()))
    return Network(nodes, (link,))


def counters_of(network, packets, seed=SEED):
    """What the end a:b counts once so many packets have crossed it."""
    draws = Draws(f"{seed}/link/a:b/", network.end_spec(0).effects, LOSS)
    draws.upto(packets)
    counters = [0.0] * len(EndStats)
    counters[EndStats.SENT_PACKETS] = packets
    counters[EndStats.DELIVERED_PACKETS] = draws.copies[packets]
    counters[EndStats.DROP_LOSS] = draws.lost[packets]
    counters[EndStats.DUPLICATED] = draws.duplicated[packets]
    counters[EndStats.ASKED_DELAY_SUM_S] = draws.copies[packets] * DELAY_S + draws.jitter_s[packets]
    return counters


@pytest.fixture
def made(tmp_path):
    """Makes a run of some events and of counters of the end a:b, one a second."""

    def make(events=(), counters=(), scenario="", duration_s=10.0):
        folder = RunFolder.create(tmp_path, "made")
        logs = EventLog(folder), SampleLog(folder), LinkLog(folder, ["a:b", "b:a"])
        for event in events:
            logs[0].append(*event)
        for number, values in enumerate(counters, 1):
            logs[2].update(float(number), {0: values})
        logs[2].update(float(len(counters) + 1), {}, final=True)
        for spool in logs:
            spool.finish()
        folder.write_scenario(scenario)
        folder.write_verdict(Verdict("made", SEED, duration_s=duration_s).to_json())
        return load_run(folder.path)

    return make


def found(first, second, network=None):
    return {(one.kind, one.where): one for one in findings(first, second, network or network_of(), SEED)}


def test_sequences_are_compared_place_by_place():
    assert of_sequences("x", "", [1, 2], [1, 2]).differs is False
    finding = of_sequences("x", "", [1, 2, 3], [1, 3])
    assert (finding.compared, finding.equal, finding.note) == (3, 1, "number 2: 2, then 3")
    assert of_sequences("x", "", [1], []).note == "number 1: 1, then nothing"


def test_actions_are_equal_whenever_they_were_done(made):
    one, other = made([ACTION]), made([(1.004, *ACTION[1:])])
    finding = found(one, other)["actions", ""]
    assert (finding.compared, finding.equal) == (1, 1)
    assert "4.0 ms apart" in finding.note
    changed = made([(1.0, "", "skyloom", "action", {"do": "link-up", "links": ["a:b"]})])
    assert found(one, changed)["actions", ""].differs
    assert found(one, made())["actions", ""].differs


def test_events_of_programs_by_the_same_name_do_not_count(made):
    assert not found(made([(1.0, "a", "mine", "action", {})]), made())["actions", ""].compared


def test_handovers_have_their_times(made):
    handover = (2.0, "a", "", "handover", {"link": "a:b", "before": "s1", "after": "s2"})
    assert not found(made([handover]), made([handover]))["handovers", ""].differs
    assert found(made([handover]), made([(2.5, *handover[1:])]))["handovers", ""].differs


def test_what_came_after_the_shorter_run_is_left_out(made):
    assert not found(made([(8.0, *ACTION[1:])]), made(duration_s=5.0))["actions", ""].compared


def test_carriers_may_follow_at_other_times_than_scheduled(made):
    carrier = (2.0, "a", "", "carrier", {"link": "a:b", "up": False, "late_s": 0.001})
    later = (2.0, "a", "", "carrier", {"link": "a:b", "up": False, "late_s": 0.003})
    assert not found(made([carrier]), made([later]))["carrier changes", ""].differs


def test_ends_of_programs(made):
    def ended(status):
        return (1.0, "a", "etcd", "program-ended", {"status": status, "text": ""})

    same = found(made([ended(1)]), made([ended(1)]))
    assert (same["ends of programs", ""].compared, same["ends of programs", ""].equal) == (1, 1)
    finding = found(made([ended(1)]), made([ended(0)]))["ends of programs", "etcd on a"]
    assert finding.note == "number 1: program-ended 1, then program-ended 0"


def test_ends_at_the_end_of_runs_that_end_with_their_programs(made):
    def ended(t_s):
        return (t_s, "a", "agents", "program-ended", {"status": 0, "text": ""})

    one, other = made([ended(2.0)], duration_s=2.0), made([ended(2.1)], duration_s=2.1)
    finding = found(one, other)["ends of programs", ""]
    assert (finding.compared, finding.equal) == (1, 1)
    longer = made([ended(2.1), ended(9.0)], duration_s=10.0)
    assert not any(finding.differs for finding in found(one, longer).values())
    early = made([ended(1.0), ended(1.5)], duration_s=10.0)
    assert found(one, early)["ends of programs", "agents on a"].differs


def test_commands_by_status_not_by_output(made):
    def executed(status, output):
        return (
            1.0,
            "",
            "skyloom",
            "exec-ended",
            {"node": "a", "command": ["ls", "-l"], "status": status, "output": output},
        )

    assert not any(one.differs for one in found(made([executed(0, "x")]), made([executed(0, "y")])).values())
    assert found(made([executed(0, "x")]), made([executed(2, "x")]))["ends of programs", "ls -l on a"].differs


def rows(count, delay_s=0.01):
    values = np.zeros(2)
    for step in range(count):
        handovers = (Handover(float(step), 0, 1, 2),) if step == 3 else ()
        yield ScheduleRow(
            step, values + delay_s * (step >= 5), values, values + inf, values, values == 0, np.zeros(2, np.int32),
            np.zeros((1, 1), np.int32), handovers,
        )  # fmt: skip


def machinery(count, delay_s=0.01):
    chain, kept = RowDigest(), KeptDigests()
    for number, row in enumerate(rows(count, delay_s), 1):
        kept.note(number, chain.add(row))
    return (9.0, "", "skyloom", "machinery", {"schedule_digests": kept.digests})


def test_rows_by_their_digests(made):
    finding = found(made([machinery(10)]), made([machinery(10)]))["schedule rows", ""]
    assert (finding.compared, finding.equal) == (10, 10)
    shorter = found(made([machinery(10)]), made([machinery(7)]))["schedule rows", ""]
    assert (shorter.compared, shorter.equal) == (4, 4)
    other = found(made([machinery(10)]), made([machinery(10, 0.02)]))["schedule rows", ""]
    assert (other.compared, other.equal, other.note) == (10, 4, "a row from number 5 to 8 differs")
    assert not found(made(), made([machinery(10)]))["schedule rows", ""].compared


@pytest.mark.parametrize(
    "effects",
    [
        JITTER,
        Effects(burst_loss=GilbertElliott(0.1, 0.3), jitter_s=0.002),
        Effects(duplicate=0.3, jitter_s=0.01, corrupt=0.1),
    ],
    ids=["loss", "burst", "duplicate"],
)  # fmt: skip
def test_draws_of_equal_packets_are_equal_in_runs_of_other_loads(made, effects):
    network = network_of(effects)
    one = made(counters=[counters_of(network, packets) for packets in (50, 90, 200)])
    other = made(counters=[counters_of(network, packets) for packets in (60, 500)])
    told = found(one, other, network)
    losses = told["losses, duplicates" if effects.duplicate else "losses", "a:b"]
    assert (losses.compared, losses.equal) == (200, 200)
    assert (told["jitter", "a:b"].compared, told["jitter", "a:b"].equal) == (200, 200)


def test_a_run_that_drew_otherwise_differs(made):
    network = network_of()
    one = made(counters=[counters_of(network, packets) for packets in (100, 1000)])
    other = made(counters=[counters_of(network, packets, seed=SEED + 1) for packets in (100, 1000)])
    told = found(one, other, network)
    assert told["losses", "a:b"].differs
    assert told["jitter", "a:b"].differs
    assert "run 2 is not what the seed gives" in told["jitter", "a:b"].note


def test_one_delay_that_is_another_shows(made):
    network = network_of()
    counters = [counters_of(network, packets) for packets in (100, 1000)]
    other = [list(values) for values in counters]
    other[1][EndStats.ASKED_DELAY_SUM_S] += 1e-4
    finding = found(made(counters=counters), made(counters=other), network)["jitter", "a:b"]
    assert finding.differs
    assert "after number 100 on" in finding.note


def test_what_changes_over_time_is_not_compared(made):
    schedule = PiecewiseSchedule(
        np.array([0.0, 5.0]), np.array([DELAY_S, 0.03]), np.full(2, inf), np.array([LOSS, 0.3]), np.array([True, True])
    )
    network = network_of(schedule=schedule)
    counters = [counters_of(network, 100)]
    finding = found(made(counters=counters), made(counters=counters), network)["losses", "a:b"]
    assert (finding.compared, finding.differs) == (0, False)
    assert "changes over time" in finding.note


def test_an_action_ends_what_can_be_compared(made):
    network = network_of()
    action = (1.5, "", "skyloom", "action", {"do": "set", "links": ["a:b"], "loss": 0.9})
    counters = [counters_of(network, 100), counters_of(network, 300, seed=SEED + 1)]
    finding = found(made([action], counters), made([action], counters), network)["losses", "a:b"]
    assert (finding.compared, finding.equal) == (100, 100)
    assert "until 1.500 s" in finding.note
