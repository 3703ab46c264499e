"""The flooder over sockets of this machine: what it tells its process, and what evidence becomes."""

from __future__ import annotations

import asyncio

from sdk_net import Records, context, until
from xroute_flood import START_MS, edge_ad, key_of

from emulator.sdk.transport.config import LinkConfig
from nodes.xroute.flooding.ads import issued
from nodes.xroute.flooding.database import Entry, Evidence
from nodes.xroute.flooding.equivocation import Equivocation, verify_equivocation
from nodes.xroute.flooding.flood import Settings
from nodes.xroute.flooding.process import Flooder

STAKES = {key_of(name).public: 10 for name in "abc"}
OFTEN = Settings(resync_ms=200)
CONFIG = LinkConfig(retry_least_s=0.01, retry_most_s=0.05, heartbeat_s=0.5, silence_s=5.0)


def test_news_reaches_the_neighbours_process() -> None:
    records, learnt = Records(), list[Entry]()

    async def main() -> None:
        here, there = context("a"), context("b", records)
        b = Flooder(there, key_of("b"), STAKES, ["a"], port=0, config=CONFIG, on_learnt=learnt.append)
        a = Flooder(
            here, key_of("a"), STAKES, ["b"], port=0, config=CONFIG, ports={"b": await b.open()}, settings=OFTEN
        )
        await a.open()
        running = [asyncio.ensure_future(each.run()) for each in (a, b)]
        a.announce(edge_ad("osmosis", "juno"))
        await until(lambda: bool(learnt))
        twins = [issued(edge_ad("osmosis", "hub", delay_s=at, max_age_s=60), key_of("c"), 1, START_MS) for at in (1, 2)]
        a.database.accuse(Evidence.of(Equivocation.of(*twins)))  # as if another neighbour had told it
        await until(lambda: len(learnt) == 2)
        here.stopping.set()
        there.stopping.set()
        await asyncio.gather(*running)
        assert a.counters()["refused"] == b.counters()["refused"] == 0
        for each in (here, there):
            await each.exit_stack.aclose()

    asyncio.run(main())
    assert {each.ad.origin for each in learnt if not isinstance(each, Evidence)} == {key_of("a").public}
    assert {name for name, _, _ in records.samples} == {"flood_entries", "flood_bytes"}
    (kind, told), (other, accused) = records.events
    assert (kind, told["peer"], other) == ("learnt", "a", "equivocation")
    origin = verify_equivocation(Equivocation.decode(bytes.fromhex(accused["evidence"])))
    assert origin.hex() == accused["origin"]
