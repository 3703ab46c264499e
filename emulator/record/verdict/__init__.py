"""What a run was worth: the keys of verdict.json (`schema`), what passes (`judge`), and which exit code follows
(`exit_codes`)."""

from __future__ import annotations

from emulator.record.verdict.schema import LATE_CAUSES, FailedProgram, HostRow, Outcome, Verdict

__all__ = ["LATE_CAUSES", "FailedProgram", "HostRow", "Outcome", "Verdict"]
