"""The sender of messages: settings with which it cannot begin."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sdk_net import context

from emulator.model.errors import Unfit
from nodes.xroute.load import Load


@pytest.mark.parametrize(
    "wrong",
    [
        {"to": ()}, {"to": ("b via",)}, {"to": ("nowhere",)}, {"to": ("b",), "mode": "zk"},
        {"to": ("b",), "policy": "xroute/1; limit hops 0"},
    ],
)  # fmt: skip
def test_settings_that_cannot_be_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(Unfit):
        asyncio.run(Load(Load.Config(**wrong), context("a")).setup())
