"""Panel of a pipeline: the text so far, stages with their queues, and plans with their delays.

Invariant: what it remembers is bounded by the number of nodes and plans of the scenario; of a text it keeps the end.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from emulator.model.printable import one_line
from emulator.sdk.protocol import Panel, PanelContext, Widget

MOST_TEXT = 400  # characters
LINE = 72


@dataclass(slots=True)
class _Stage:
    """One node in the request that is under way."""

    chunks: int = 0
    bytes: int = 0
    queue: int = 0  # chunks that waited when the last one was done
    busy_s: float = 0.0


@dataclass(slots=True)
class _Asked:
    """One plan."""

    begun_s: float | None = None
    nodes: list[str] = field(default_factory=list)
    text: str = ""
    tokens: int = 0
    first_token_s: float | None = None
    predicted_s: float | None = None
    end: str = ""


class PipelinePanel(Panel):
    """Requests by their events, stages by those of chunks."""

    def __init__(self, context: PanelContext) -> None:
        super().__init__(context)
        self._asked: dict[str, _Asked] = {}  # by plan
        self._stages: dict[str, _Stage] = {}  # by node, of the request that is under way
        self._now = ""  # the plan that is asked

    def event(self, t_s: float, node: str, kind: str, data: Mapping[str, Any]) -> None:
        if kind == "chunk":
            stage = self._stages.setdefault(node, _Stage())
            stage.chunks += 1
            stage.bytes += int(data["bytes"])
            stage.queue = int(data["queue"])
            stage.busy_s += float(data["encoded_s"]) - float(data["begun_s"])
        elif kind in ("plan", "request", "epoch", "token", "answer", "failed"):
            self._request(t_s, kind, data, self._asked.setdefault(str(data["plan"]), _Asked()))

    def _request(self, t_s: float, kind: str, data: Mapping[str, Any], asked: _Asked) -> None:
        if kind == "plan":
            asked.predicted_s = float(data["first_token_s"])
        elif kind == "request":
            self._now, self._stages = str(data["plan"]), {}
            self._asked[self._now] = _Asked(t_s, list(data["stages"]), predicted_s=asked.predicted_s)
        elif kind == "epoch":
            asked.nodes = list(data["nodes"])
        elif kind == "token":
            asked.text = (asked.text + str(data["text"]))[-MOST_TEXT:]
            asked.tokens += 1
            if asked.first_token_s is None and asked.begun_s is not None:
                asked.first_token_s = t_s - asked.begun_s
        else:
            asked.end = "answered" if kind == "answer" else f"failed: {data['text']}"

    def widgets(self, t_s: float) -> list[Widget]:
        if not self._now:
            return [{"kind": "facts", "rows": [["request", "none yet: nodes get their parts of the model"]]}]
        asked = self._asked[self._now]
        end = one_line(asked.text)[-4 * LINE :]
        lines = [end[at : at + LINE] for at in range(0, len(end), LINE)] or [""]
        rows = [["plan", self._now], ["tokens", f"{asked.tokens:,}"]]
        rows += [["text" if not number else "", line] for number, line in enumerate(lines)]
        shown: list[Widget] = [{"kind": "facts", "rows": rows}, self._listing(t_s, asked)]
        if len(self._asked) > 1:
            shown.append(self._plans())
        return shown

    def _listing(self, t_s: float, asked: _Asked) -> Widget:
        elapsed_s = max(t_s - (asked.begun_s or 0.0), 1e-9)
        rows = []
        for number, node in enumerate(asked.nodes, 1):
            stage = self._stages.get(node, _Stage())
            share = f"{min(1.0, stage.busy_s / elapsed_s):.0%}"
            rows.append([str(number), node, f"{stage.chunks:,}", str(stage.queue), share, f"{stage.bytes / 1e3:,.1f}"])
        columns = ["stage", "node", "chunks", "waiting", "busy", "kB sent"]
        return {"kind": "listing", "title": "Stages of this request", "columns": columns, "rows": rows}

    def _plans(self) -> Widget:
        rows = []
        for name, asked in self._asked.items():
            times = [f"{each:.2f} s" if each is not None else "" for each in (asked.first_token_s, asked.predicted_s)]
            rows.append([name, *times, f"{asked.tokens:,}", one_line(asked.end)[:60]])
        columns = ["plan", "first token", "predicted", "tokens", ""]
        return {"kind": "listing", "title": "Plans", "columns": columns, "rows": rows}
