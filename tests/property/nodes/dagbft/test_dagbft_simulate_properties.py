"""Committees under random faults: whatever crashes, is cut off, loses packets or comes back, validators agree.

The faults of a run stay within the bound only in so far as at most f validators are down at a time; partitions may cut
all of them apart. What must hold is safety at every moment, and progress once everything is whole again.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from nodes.dagbft.consensus.core import Commit, Rules
from nodes.dagbft.messages import Vote
from nodes.dagbft.primary.config import PrimaryConfig
from nodes.dagbft.simulate import Settings, Simulation, uniform

FAULTS = st.lists(
    st.tuples(
        st.sampled_from(["crash", "crash between", "wipe", "return", "cut", "heal", "loss", "wait"]),
        st.integers(0, 3),
        st.integers(1, 20),
    ),
    max_size=10,
)


@settings(max_examples=25)
@given(
    FAULTS, st.sampled_from(["asynchronous", "psync"]), st.sampled_from(["causal", "support-gated"]), st.integers(0, 99)
)
def test_validators_agree_whatever_happens(faults, protocol, order, seed):
    rules = Rules(protocol, order=order, look_back=8, keep=16)
    config = PrimaryConfig(rules, leader_timeout_s=0.3, grace_s=0.02, header_delay_s=0.03, retry_s=0.3, sync_after=5)
    run = Simulation(Settings(n=4, seed=seed, delay=uniform(0.02), primary=config))
    run.network.jitter = 0.5
    votes: dict[tuple[int, int, int], bytes] = {}

    def watch(sender, receiver, message, now_s):
        if isinstance(message, Vote):
            slot = (message.voter, message.round, message.author)
            assert votes.setdefault(slot, message.header_id) == message.header_id, f"{slot} twice"
        return 0.0

    run.network.hook = watch
    run.load(50)
    run.start().run(0.5)
    down: int | None = None
    for kind, number, wait in faults:
        if kind in ("crash", "crash between", "wipe") and down is None:
            down = number
            if kind == "crash between":
                run.validators[number].crash_point = lambda process, effects, when=wait: (
                    ("before", "after")[when % 2] if effects.persist else ""
                )
                run.run(0.2)
            if run.validators[number].alive:
                run.crash(number, wipe=kind == "wipe")
        elif kind == "return" and down is not None:
            run.validators[down].crash_point = None
            run.restart(down)
            down = None
        elif kind == "cut":
            run.network.cut([[each for each in range(4) if each % 2 == number % 2], [number]])
        elif kind == "heal":
            run.network.heal()
        elif kind == "loss":
            run.network.loss = wait / 100
        run.run(wait / 10)
        agree(run)
    run.network.loss = 0.0
    run.network.heal()
    if down is not None:
        run.validators[down].crash_point = None
        run.restart(down)
    before = min(validator.primary.consensus.commits for validator in run.validators)
    run.run(6)
    agree(run)
    assert min(validator.primary.consensus.commits for validator in run.validators) > before + 5
    newest = max(validator.primary.consensus.commits for validator in run.validators)
    for validator in run.validators:
        done = [event.number for _, event in validator.history.executed if isinstance(event, Commit)]
        assert done[-1] >= newest - 4  # it has all batches, and executes


def agree(run: Simulation) -> None:
    logs = sorted((run.log(number) for number in range(4)), key=len)
    assert all(logs[-1].startswith(log) for log in logs)
    for validator in run.validators:
        assert not validator.history.again
        assert validator.primary.consensus.check.wrong == 0
