"""F3: whatever happened before, a committee of which at most f are faulty goes on once messages arrive in time again.

Crashes, crashes between keeping and sending, lost disks (at most f validators at a time) and any partitions come first,
and validators that are gone for good. Then comes calm; every validator that lives must commit what was proposed after
that, within a bound of rounds.
"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodes.dagbft.consensus.core import Rules
from nodes.dagbft.messages import Certificate, Header, Vote
from nodes.dagbft.primary.config import PrimaryConfig
from nodes.dagbft.simulate import Settings, Simulation, uniform
from nodes.dagbft.simulate.validator import PRIMARY

BOUND = 24  # rounds: six waves, in which somebody honest leads
PROTOCOLS = ["asynchronous", "psync"]


def committee(n: int, protocol: str, seed: int, **more: object) -> Simulation:
    rules = Rules(protocol, look_back=20, keep=30)
    config = PrimaryConfig(rules, leader_timeout_s=0.2, grace_s=0.02, header_delay_s=0.03, retry_s=0.3, **more)
    return Simulation(Settings(n=n, seed=seed, delay=uniform(0.02), primary=config))


def calm(run: Simulation, gone: tuple[int, ...] = (), limit_s: float = 60.0) -> None:
    """Every validator but these commits what comes after now, soon."""
    alive = [validator for validator in run.validators if validator.me not in gone]
    begin = max(validator.primary.proposer.round for validator in alive)
    until = run.clock.now_s + limit_s
    while run.clock.now_s < until and not all(each.primary.consensus.rule.last > begin for each in alive):
        run.run(0.5)
    rounds = [each.primary.pace.round for each in alive]
    assert all(each.primary.consensus.rule.last > begin for each in alive), (begin, rounds)
    assert max(rounds) - begin <= BOUND * (1 + len(gone)), (begin, rounds)


def safe(run: Simulation, wiped: set[int]) -> None:
    logs = sorted((run.log(each.me) for each in run.validators if each.me not in wiped), key=len)
    assert all(logs[-1].startswith(log) for log in logs)
    for validator in run.validators:
        assert not validator.history.again


SENT = {"vote": Vote, "header": Header, "certificate": Certificate}


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("sent", SENT)
@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("n", [4, 7])
def test_one_crash_at_a_bad_moment_while_f_are_gone(n, protocol, sent, when):
    """F3a."""
    gone = tuple(range(n - (n - 1) // 3, n))
    run = committee(n, protocol, seed=1).start(*gone).run(3)
    victim = run.validators[1]
    victim.crash_point = lambda process, effects: (
        when if process == PRIMARY and any(isinstance(message, SENT[sent]) for _, message in effects.send) else ""
    )
    run.run(1)
    assert not victim.alive
    run.restart(1)
    calm(run, gone)


@pytest.mark.parametrize("keeps", [True, False])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_one_is_cut_off_for_long_and_another_crashes_meanwhile(protocol, keeps):
    """F3b: the tail above the last commit, and headers that were refused as too far ahead."""
    run = committee(4, protocol, seed=1).start().run(2)
    run.network.hook = lambda a, b, message, now_s: None if 3 in (a, b) and not keeps else 0.0
    run.network.cut([[0, 1, 2]])
    run.run(25)
    run.crash(2)
    run.run(1)
    run.network.hook = None
    run.network.heal()
    calm(run, gone=(2,))


FAULTS = st.lists(
    st.tuples(
        st.sampled_from(["crash", "bad moment", "wipe", "return", "cut", "isolate", "heal", "loss", "wait"]),
        st.integers(0, 6),
        st.integers(1, 25),
    ),
    max_size=12,
)


@pytest.mark.timeout(300)  # twelve runs of minutes: 150 s were seen on a busy machine
@settings(max_examples=12)
@given(st.sampled_from([4, 4, 7]), FAULTS, st.sampled_from(PROTOCOLS), st.integers(0, 99), st.booleans())
def test_whatever_happened_it_goes_on_in_calm(n, faults, protocol, seed, loses_one):
    run, f = committee(n, protocol, seed, window=20), (n - 1) // 3
    run.network.jitter = 0.5
    run.load(20)
    run.start().run(0.5)
    down: list[int] = []
    wiped: set[int] = set()
    for kind, number, wait in faults:
        number %= n
        victim = run.validators[number]
        if kind in ("crash", "bad moment", "wipe") and len(down) < f and victim.alive:
            if kind == "bad moment":
                sent = list(SENT.values())[wait % 3]
                victim.crash_point = lambda process, effects, sent=sent, when=("before", "after")[number % 2]: (
                    when if process == PRIMARY and any(isinstance(each, sent) for _, each in effects.send) else ""
                )
                run.run(0.5)
                victim.crash_point = None
            if victim.alive:
                run.crash(number, wipe=kind == "wipe")
                wiped |= {number} if kind == "wipe" else set()
            down.append(number)
        elif kind == "return" and down:
            run.restart(down.pop(0))
        elif kind == "cut":
            run.network.cut([[each for each in range(n) if each % 2 == number % 2], [number]])
        elif kind == "isolate":
            run.network.cut([[each for each in range(n) if each != number]])
        elif kind == "heal":
            run.network.heal()
        elif kind == "loss":
            run.network.loss = wait / 100
        run.run(wait / 5)
    run.network.loss = 0.0
    run.network.heal()
    gone = tuple(down) if loses_one and not wiped else ()
    for number in [] if gone else down:
        run.restart(number)
    calm(run, gone)
    safe(run, wiped)
