"""The satellite that asks: it plans by each policy when the run begins, and asks by each plan in turn.

Events, beside those of `Prompt`: `plan`, for each policy (plan, stages, whether chunks overlap, row_bytes of a token in
fp16, and predicted first_token_s, total_s, token_s, bytes of activations, loss_nats, stage_s and link_s of a chunk);
`no-plan` (plan, text); `codecs` (by name: bytes of a chunk, and the median over cuts of the nats that are lost).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Any

from emulator.model.errors import Absent, DataError, Unfit
from nodes.pipeline import profile
from nodes.pipeline.codecs.codec import HalfCodec
from nodes.pipeline.codecs.texts import text
from nodes.pipeline.model.llama import Shape
from nodes.pipeline.model.tokenizer import Tokenizer
from nodes.pipeline.planner.plan import Plan
from nodes.pipeline.planner.policies import POLICIES, Chosen, choose
from nodes.pipeline.planner.problem import Problem, Satellite
from nodes.pipeline.planner.search import Exhausted, Infeasible
from nodes.pipeline.proposal import propose
from nodes.pipeline.stages.process import Common
from nodes.pipeline.stages.prompt import Prompt
from scenarios.orbit_llm.way import Way

TEXT = "docs"  # of the default prompt


class Asking(Prompt):
    """Plans for the satellites that `ways` join, itself the first of them. Others may take over from these."""

    @dataclass(frozen=True, slots=True)
    class Config(Prompt.Config):
        policies: list[str] = field(default_factory=lambda: ["joint"])
        prompt_tokens: int = 256  # of the prompt where there is no `text`
        budget_nats: float = 0.02
        stages: int | None = None
        ways: list[str] = field(default_factory=list)  # "NODE -> NODE: DELAY, NUMBER hops, RATE"

        def __post_init__(self) -> None:
            if self.plans:
                Prompt.Config.__post_init__(self)
            else:
                Common.__post_init__(self)
            if unknown := [name for name in self.policies if name not in POLICIES]:
                raise Unfit(f"`policies` with {unknown[0]!r}", f"some of {', '.join(POLICIES)}")
            for way in map(Way.of, self.ways):
                if strange := {way.source, way.target} - {*self.nodes}:
                    raise Unfit(f"a way of {min(strange)!r}", "ways between `nodes`")

    config: Config

    def planned(self) -> Config:
        """With a text, and plans for it. DataError where the first policy has none, or nothing is calibrated."""
        config = self.config
        measured = profile.load(profile.cached_path(self.sha256), self.sha256)
        row_bytes = HalfCodec(Shape.of(self.gguf).hidden).bytes_per_token
        prompt = config.text or beginning(self._tokenizer, config.prompt_tokens)
        tokens = len(self._tokenizer.encode(prompt))
        problem = self._problem(measured, tokens)
        chosen = {policy: found for policy in config.policies if (found := self._chosen(problem, policy))}
        cuts = profile.cuts_of(measured.blocks, measured.unit)
        self.context.emit(
            "codecs",
            **{
                each.name: [each.size_bytes, median(each.loss_nats[cut - 1] for cut in cuts)] for each in problem.codecs
            },
        )
        for policy, each in chosen.items():
            self.context.emit("plan", plan=policy, row_bytes=row_bytes, **self._told(each))
        return replace(
            config,
            text=prompt,
            chunk_tokens=-(-tokens // problem.chunks),
            plans={policy: stages_of(each.plan, self._names()) for policy, each in chosen.items()},
            sequential=[policy for policy, each in chosen.items() if not each.overlaps],
        )

    def _names(self) -> list[str]:
        """The satellites that plans may use."""
        joined = dict.fromkeys(way.source for way in map(Way.of, self.config.ways))
        return list(dict.fromkeys((self.context.name, *joined)))

    def _problem(self, measured: profile.Profile, tokens: int) -> Problem:
        config, names = self.config, self._names()
        place = {name: at for at, name in enumerate(names)}
        try:
            return profile.problem_of(
                measured,
                [Satellite(name, config.cpu, config.memory_bytes) for name in names],
                {(place[way.source], place[way.target]): way.link() for way in map(Way.of, config.ways)},
                prompt_tokens=tokens,
                answer_tokens=config.answer_tokens,
                budget_nats=config.budget_nats,
                stages=config.stages,
            )
        except Unfit as error:
            raise DataError(f"the prompt: {error}") from None

    def _chosen(self, problem: Problem, policy: str) -> Chosen | None:
        """The plan of a policy. Where the first one has none, DataError says what is in the way; others do without."""
        try:
            return choose(policy, problem)
        except (Infeasible, Exhausted, Absent) as error:
            if policy == self.config.policies[0]:
                return propose(problem, policy).chosen
            self.context.emit("no-plan", plan=policy, text=str(error))
            return None

    def _told(self, chosen: Chosen) -> dict[str, Any]:
        terms = chosen.terms
        return {
            "stages": stages_of(chosen.plan, self._names()),
            "overlaps": chosen.overlaps,
            "first_token_s": chosen.first_token_s,
            "total_s": chosen.total_s,
            "token_s": terms.token_s,
            "stage_s": list(terms.stage_s),
            "link_s": list(terms.link_s),
            "bytes": terms.sent_bytes,
            "loss_nats": terms.loss_nats,
        }


def beginning(tokenizer: Tokenizer, tokens: int) -> str:
    """So many tokens of a text that no calibration has seen."""
    return tokenizer.decode(tokenizer.encode(text(TEXT))[:tokens])


def stages_of(plan: Plan, names: Sequence[str]) -> list[str]:
    """A plan as configs of stages have it."""
    stages = [f"{names[each.satellite]} {each.first}-{each.stop}" for each in plan.stages]
    codecs = [f" {each.codec.name}/{each.token_codec.name}" for each in plan.crossings]
    return [stage + codec for stage, codec in zip(stages, [*codecs, ""], strict=True)]
