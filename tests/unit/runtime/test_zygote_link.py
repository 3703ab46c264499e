"""The lines of a zygote link, without a node: what processes do not read waits, and holds up nobody."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from emulator.runtime.control.channel import Channel
from emulator.runtime.programs.zygote_link import MOST_UNREAD, ZygoteLink


def test_a_process_that_reads_nothing_holds_up_nobody_and_misses_no_packet_within_bounds(tmp_path: Path) -> None:
    zygote = ZygoteLink(1, tmp_path, tmp_path, lambda launch: None)  # type: ignore[arg-type, return-value]

    async def play() -> None:
        zygote.attach()
        line, theirs = Channel.pair()
        line.set_timeout(0.0)
        theirs.set_timeout(0.0)
        zygote._listen(7, line)
        began_s = time.monotonic()
        for number in range(1000):
            zygote.tell(7, b"%d" % number)
        assert time.monotonic() - began_s < 5.0, "had each waited for a hundredth of a second, it had been ten"
        heard: list[int] = []
        async with asyncio.timeout(10):
            while len(heard) < MOST_UNREAD:
                try:
                    heard.append(int(theirs.receive_bytes()[0]))
                except BlockingIOError:
                    await asyncio.sleep(0)
        assert heard == list(range(MOST_UNREAD))
        zygote.tell(7, b"after")
        zygote._unlisten(7)
        zygote.tell(7, b"to nobody")
        theirs.close()

    asyncio.run(play())
    zygote.close()
