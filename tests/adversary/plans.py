"""Plans of committees: who lies, who may lose its disk, and what happens when.

Invariant: a plan follows from its seed alone. Most are of anything; some are stories, in which what is bad comes
together: these say what happens, and nothing of how a committee should bear it.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from nodes.dagbft.byzantine import BEHAVIOURS
from nodes.dagbft.consensus.committee import Hashed, Turns
from nodes.dagbft.consensus.core import PROTOCOLS, Rules

from .clients import Mix

LIES = (*(each for each in BEHAVIOURS if each not in ("honest", "flood")), "wrong-mode")
EVENTS = (
    "crash", "bad moment", "bad moment", "bad moment", "wipe", "relapse", "relapse", "return", "return", "cut",
    "isolate", "one way",
    "heal", "heal", "loss", "late replies", "wait",
)  # fmt: skip
Step = tuple[str, int, float]  # what, to whom, and how many seconds pass then
STORIES = ("anything", "anything", "anything", "forgetful", "outnumbered")


@dataclass(frozen=True, slots=True)
class Plan:
    """What happens to a committee."""

    seed: int
    n: int
    rules: Rules
    liars: dict[int, str]
    forgetful: tuple[int, ...]  # who may lose its disk
    steps: tuple[Step, ...]
    gone: bool  # whether those that are down when calm begins stay down, as far as f allows
    mix: Mix

    @classmethod
    def draw(cls, seed: int) -> Plan:
        random = Random(f"committee/{seed}")
        choice, n = random.choice, random.choice((4, 4, 4, 7))
        faults, look_back = (n - 1) // 3, random.choice((2, 4, 8))
        victims = random.sample(range(n), faults)
        lying = random.choice((0, random.randint(0, faults), faults))
        rules = Rules(
            choice(sorted(PROTOCOLS)),
            choice((Hashed(n, seed), Turns(range(n)))),
            choice(("causal", "causal", "causal", "support-gated")),
            look_back,
            keep=look_back + choice((8, 8, 20)),
        )
        steps: list[Step] = []
        for _ in range(random.randint(2, 14)):
            what = choice(EVENTS)
            who = choice(victims) if what in ("wipe", "relapse") else random.randrange(n)
            steps.append((what, who, choice((0.02, 0.1, 0.5, 2.0, 5.0)) * random.random()))
        gone = random.random() < 0.4
        story: list[Step] = []
        match choice(STORIES):
            case "forgetful":  # loses its disk again as soon as it speaks, while answers to it are slow
                lying = min(lying, faults - 1)
                for _ in range(random.randint(1, 3)):
                    story += [
                        ("late replies", 0, 0.5 * random.random()),
                        ("forget again", victims[-1], random.random()),
                    ]
            case "outnumbered":  # is cut off; one more goes for good before it is back
                lying, gone = 0, True
                for _ in range(random.randint(1, 3)):
                    late, other = random.sample(range(n), 2)
                    story += [("heal", 0, random.random()), ("isolate", late, 5.0 * random.random())]
                    story += [("crash for good", other, 2.0 * random.random()), ("heal", 0, 0.5 * random.random())]
        return cls(
            seed=seed,
            n=n,
            rules=rules,
            liars={victim: choice(LIES) for victim in victims[:lying]},
            forgetful=tuple(victims[lying:]),
            steps=(*steps[:3], *story) if story else tuple(steps),
            gone=gone,
            mix=Mix.draw(random, n),
        )
