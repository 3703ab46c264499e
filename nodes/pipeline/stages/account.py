"""The records of a request, as its controller goes on.

Invariant: each placement and each token is told once, in order, and the end once.
"""

from __future__ import annotations

from codecs import getincrementaldecoder
from collections.abc import Callable

from nodes.pipeline.model.tokenizer import Tokenizer
from nodes.pipeline.stages.controller import Controller, Step


class Account:
    """Of one request by the plan of a name; `emit` takes the kind of an event and its fields."""

    def __init__(self, name: str, controller: Controller, tokenizer: Tokenizer, emit: Callable[..., None]) -> None:
        self._name, self._controller, self._tokenizer, self._emit = name, controller, tokenizer, emit
        self._decoder = getincrementaldecoder("utf-8")("replace")  # a character may take several tokens
        self._text = ""
        self._begun_s: float | None = None
        self._first_s = 0.0
        self._epochs = self._tokens = 0

    def tell(self, now_s: float) -> bool:
        """Tell what is new; whether the request has ended."""
        controller, name = self._controller, self._name
        for epoch in controller.epochs[self._epochs :]:
            self._emit(
                "epoch", plan=name, epoch=epoch.number, why=epoch.why, nodes=list(epoch.nodes), kept=epoch.kept,
                moved=epoch.moved,
            )  # fmt: skip
        self._epochs = len(controller.epochs)
        if self._begun_s is None and controller.step is Step.RUNNING:
            self._begun_s = now_s
            request = controller.request
            prompt_tokens = len(request.prompt)
            self._emit(
                "request", plan=name, request=request.number, prompt_tokens=prompt_tokens,
                chunks=-(-prompt_tokens // request.chunk_tokens), stages=list(controller.epochs[-1].nodes),
            )  # fmt: skip
        for token in controller.answer[self._tokens :]:
            piece = self._decoder.decode(self._tokenizer.bytes_of(token))
            self._text += piece
            self._emit("token", plan=name, number=self._tokens, token=token, text=piece)
            if not self._tokens:
                self._first_s = now_s
            self._tokens += 1
        if controller.step is Step.DONE:
            self._end(now_s)
        elif controller.step is Step.FAILED:
            self._emit("failed", plan=name, text=controller.reason)
        return controller.step in (Step.DONE, Step.FAILED)

    def _end(self, now_s: float) -> None:
        controller, begun_s = self._controller, self._begun_s or 0.0
        self._emit(
            "answer", plan=self._name, text=self._text + self._decoder.decode(b"", True), tokens=self._tokens,
            first_token_s=self._first_s - begun_s, total_s=now_s - begun_s, epochs=len(controller.epochs),
            replayed_tokens=controller.replayed_tokens, diverged=controller.diverged,
        )  # fmt: skip
