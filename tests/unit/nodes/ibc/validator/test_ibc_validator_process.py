"""Validators as node programs on loopback: one chain from all of them, by RPC of any."""

from __future__ import annotations

import asyncio
import time
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ibc_chain import NAMES, send, signed
from ibc_validators import Lived, validators
from sdk_net import until

from emulator.model.clock import MonotonicClock
from emulator.model.errors import Unfit
from nodes.ibc.comet.commits import SignatureCache, verify_commit
from nodes.ibc.comet.hashes import header_hash
from nodes.ibc.comet.json_form import read_signed_header, read_validators

aiohttp = pytest.importorskip("aiohttp", reason="aiohttp is absent (pip install 'skyloom[ibc]')")


async def called(client: Any, at: Lived, method: str, **params: Any) -> Any:
    async with client.post(at.url(), json={"id": 1, "method": method, "params": params}) as answer:
        return (await answer.json())["result"]


def play(folder: Path, what: Callable[[Any, dict[str, Lived]], Any]) -> None:
    """Four validators, and `what(client, validators)`."""

    async def main() -> None:
        async with validators(folder, accounts=NAMES) as lives, aiohttp.ClientSession() as client:
            await what(client, lives)

    asyncio.run(main())


def test_light_clients_verify_the_signatures_of_all_validators(tmp_path: Path) -> None:
    async def what(client: Any, lives: dict[str, Lived]) -> None:
        await until(lambda: all(len(life.heights) > 4 for life in lives.values()))
        data = signed("alice", [send("alice", "bob", stake=7)], 0, 0, chain_id="a-1")
        sent = await called(client, lives["a-2"], "broadcast_tx_commit", tx=b64encode(data).decode())
        assert sent["tx_result"]["code"] == 0
        height = sent["height"]
        await until(lambda: all(life.heights[-1] >= int(height) for life in lives.values()))
        answers = [await called(client, life, "commit", height=height) for life in lives.values()]
        assert all(answer["signed_header"] == answers[0]["signed_header"] for answer in answers)
        signed_header = read_signed_header(answers[0]["signed_header"])
        set_form = await called(client, lives["a-1"], "validators", height=height)
        members = read_validators(set_form["validators"])
        assert signed_header.header is not None
        assert signed_header.commit is not None
        verify_commit("a-1", members, signed_header.commit, SignatureCache())
        assert header_hash(signed_header.header) == signed_header.commit.block_id.hash
        times = {entry.timestamp.ns for entry in signed_header.commit.signatures if entry.signature}
        assert len(times) > 2  # each signs at a time of its own

    play(tmp_path, what)


def test_what_the_order_has_no_room_for_is_said_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One open batch is all that fits: votes and transactions wait for it, and no validator ends."""
    monkeypatch.setattr("nodes.ibc.validator.ordering._MOST_OPEN", 1)

    async def what(client: Any, lives: dict[str, Lived]) -> None:
        await until(lambda: all(len(life.heights) > 2 for life in lives.values()))
        for sequence in range(6):
            data = signed("alice", [send("alice", "bob", stake=1)], sequence, 0, chain_id="a-1")
            sent = await called(client, lives["a-2"], "broadcast_tx_sync", tx=b64encode(data).decode())
            assert sent["code"] == 0
        blocks = lives["a-2"].records.events
        await until(lambda: sum(fields["txs"] for kind, fields in blocks if kind == "block") == 6)

    play(tmp_path, what)


def test_a_validator_that_was_away_has_the_blocks_of_the_others(tmp_path: Path) -> None:
    async def what(client: Any, lives: dict[str, Lived]) -> None:
        await until(lambda: all(len(life.heights) > 3 for life in lives.values()))
        await lives["a-1"].end()
        before = lives["a-0"].heights[-1]
        await until(lambda: lives["a-0"].heights[-1] > before + 3)  # f of 3f + 1 are away
        missed = lives["a-0"].heights[-1]
        again = lives["a-1"] = Lived(tmp_path, "a-1", lives["a-0"].context.clock, accounts=NAMES)
        await again.set_up()
        again.begin()
        await until(lambda: bool(again.heights) and again.heights[-1] >= lives["a-0"].heights[-1] > before + 6)
        restored = again.records.events[0][1]["height"]
        assert again.heights[0] == restored + 1 <= missed  # its own store may be a block or two ahead of a-0's news
        height = str(lives["a-0"].heights[-1])  # which both have told
        ours, theirs = [await called(client, lives[name], "commit", height=height) for name in ("a-1", "a-0")]
        assert ours["signed_header"] == theirs["signed_header"]
        status = await called(client, again, "status")
        assert int(status["sync_info"]["latest_block_height"]) >= before

    play(tmp_path, what)


@pytest.mark.parametrize(
    ("config", "error"),
    [({"powers": (1, 1)}, "one for each of 4 validators"), ({"equivocate_height": 3}, "signs with its own key alone")],
)
def test_a_config_that_makes_no_validator_is_refused(tmp_path: Path, config: dict[str, Any], error: str) -> None:
    async def main() -> None:
        life = Lived(tmp_path, "a-0", MonotonicClock(time.monotonic_ns()), **config)
        async with life.context.exit_stack:
            with pytest.raises(Unfit, match=error):
                await life.program.setup()

    asyncio.run(main())
