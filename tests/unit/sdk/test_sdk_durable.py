"""Group commit: records are kept before what rests on them is done, in the order of the calls."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.sdk.disk import MemoryDisk, Record
from emulator.sdk.durable import Durable


class Disk(MemoryDisk):
    """Counts transactions; one that waits for the disk does so in a thread of its own."""

    def __init__(self, sync: bool, broken: bool = False) -> None:
        super().__init__()
        self.sync, self.broken = sync, broken
        self.transactions = 0

    def apply(self, records: Iterable[Record]) -> None:
        if self.broken:
            raise OSError("no space left")
        self.transactions += 1
        super().apply(records)


@given(st.lists(st.lists(st.integers(0, 9), max_size=3), max_size=12), st.booleans(), st.sets(st.integers(0, 11)))
def test_everything_is_done_in_order_and_after_its_records(
    effects: list[list[int]], sync: bool, turns: set[int]
) -> None:
    """`turns` are the places after which the loop has its turn, so commits hold one effect or several."""

    async def body() -> None:
        disk = Disk(sync)
        durable = Durable(disk)
        done: list[int] = []
        ended = asyncio.Event()

        def then(number: int) -> None:
            assert all(disk.get("table", bytes((key,))) is not None for key in effects[number])
            done.append(number)
            if len(done) == len(effects):
                ended.set()

        for number, keys in enumerate(effects):
            durable.add([Record("table", bytes((key,)), b"x") for key in keys], partial(then, number))
            if number in turns:
                await asyncio.sleep(0)
        if effects:
            async with asyncio.timeout(20):
                await ended.wait()
        assert done == list(range(len(effects)))
        assert disk.transactions <= len(effects)
        durable.close()

    asyncio.run(body())


def test_without_records_nothing_waits() -> None:
    async def body() -> None:
        done: list[int] = []
        durable = Durable(Disk(sync=False))
        durable.add([], lambda: done.append(1))
        assert done == [1]
        durable.add([Record("table", b"k", b"v")], lambda: done.append(2))
        durable.add([], lambda: done.append(3))  # behind one that waits
        assert done == [1]
        await asyncio.sleep(0)
        assert done == [1, 2, 3]
        assert durable.commits == 1
        durable.close()

    asyncio.run(body())


@pytest.mark.parametrize("sync", [False, True])
def test_what_cannot_be_kept_ends_the_program_and_nothing_is_done(sync: bool) -> None:
    async def body() -> None:
        done: list[int] = []
        durable = Durable(Disk(sync, broken=True))
        durable.add([Record("table", b"k", b"v")], lambda: done.append(1))
        with pytest.raises(OSError, match="no space left"):
            async with asyncio.timeout(20):
                await durable.failed()
        assert done == []
        durable.close()

    asyncio.run(body())
