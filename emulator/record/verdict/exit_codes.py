"""Which exit code a run ends with. The codes themselves, and those of errors, are in `emulator/model/errors.py`; the
whole list is docs/exit-codes.md.

Invariant: a run ends with EXIT_PASS only where nothing at all was wrong.
"""

from __future__ import annotations

from emulator.model.errors import EXIT_FAIL, EXIT_INTERNAL, EXIT_INTERRUPTED, EXIT_LATE, EXIT_PASS


def exit_code(*, holds: bool, late: bool, interrupted: bool, broken: bool, error_code: int | None = None) -> int:
    """The exit code of a run. The finding that makes the others worthless comes first: a broken run says nothing about
    its expectations, an interrupted one did not play to its end, a late one cannot be trusted to pass or to fail.

    `error_code`: that of the error which broke the run; EXIT_INTERNAL where it has none.
    """
    if broken:
        return EXIT_INTERNAL if error_code is None else error_code
    if interrupted:
        return EXIT_INTERRUPTED
    if late:
        return EXIT_LATE
    return EXIT_PASS if holds else EXIT_FAIL
