"""The program of the owners of names: settings with which it cannot begin."""

from __future__ import annotations

import asyncio

import pytest
from sdk_net import context

from emulator.model.errors import Unfit
from nodes.xroute.names.process import Registrar


@pytest.mark.parametrize(
    ("words", "reason"), [("b.mesh", "NAME NODE"), ("B.mesh b", "label 'B'"), ("b.mesh nowhere", "nodes of the run")]
)
def test_settings_that_cannot_be_are_refused(words: str, reason: str) -> None:
    with pytest.raises(Unfit, match=reason):
        asyncio.run(Registrar(Registrar.Config(registry="c", names=("a.mesh b", words)), context("a")).setup())
