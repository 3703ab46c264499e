"""Events and samples of all nodes: one stream each, stamped with scenario time.

Invariant: rows stand in the order in which they arrived, which for one node is the order of time; sort by `t_s` (as
`load_run` does) to interleave nodes.
"""

from __future__ import annotations

from collections.abc import Mapping

from emulator.record.folder import RunFolder
from emulator.record.spool import Columns, Spool

EVENT_COLUMNS: Columns = {"t_s": "f64", "node": "text", "program": "text", "kind": "text", "data": "json"}
SAMPLE_COLUMNS: Columns = {
    "t_s": "f64", "node": "text", "program": "text", "name": "text", "key": "text", "value": "f64",
}  # fmt: skip


class EventLog(Spool):
    """events.parquet: what happened. `data` is any map of plain values, kept as JSON text.

    Rows for `add_all` are (t_s, node, program, kind, data).
    """

    def __init__(self, folder: RunFolder) -> None:
        super().__init__(folder.path, "events", EVENT_COLUMNS, folder.warn)

    def append(self, t_s: float, node: str, program: str, kind: str, data: Mapping[str, object] | None = None) -> None:
        self.add((t_s, node, program, kind, dict(data) if data else {}))


class SampleLog(Spool):
    """samples.parquet: numbers over time. `key` tells samples of one name apart, such as the peer of a probe.

    Rows for `add_all` are (t_s, node, program, name, key, value).
    """

    def __init__(self, folder: RunFolder) -> None:
        super().__init__(folder.path, "samples", SAMPLE_COLUMNS, folder.warn)

    def append(self, t_s: float, node: str, program: str, name: str, key: str, value: float) -> None:
        self.add((t_s, node, program, name, key, value))
