"""Group commit: records of many effects are kept in one transaction, and what rests on them is done afterwards.

Invariant: what is handed to `add` is done in the order of the calls, and never before its records are kept.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from emulator.sdk.disk import Record, RecordStore

__all__ = ["Durable"]


class Durable:
    """Keeps records in a store. Where the store syncs to the disk, that happens in a thread of its own."""

    def __init__(self, store: RecordStore) -> None:
        self.commits = 0  # transactions
        self._store = store
        self._waiting: list[tuple[list[Record], Callable[[], None]]] = []
        self._busy = False
        self._thread = ThreadPoolExecutor(1) if store.sync else None
        self._failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def add(self, records: list[Record], then: Callable[[], None]) -> None:
        """Keep these, then do that: at once where nothing is to be kept and nothing waits."""
        if not records and not self._waiting and not self._busy:
            then()
            return
        if not self._waiting and not self._busy:
            asyncio.get_running_loop().call_soon(self._flush)
        self._waiting.append((records, then))

    async def failed(self) -> None:
        """Waits for ever, or raises what went wrong in keeping records or in what was to be done then."""
        await self._failure

    def _flush(self) -> None:
        batch, self._waiting = self._waiting, []
        records = [record for each, _ in batch for record in each]
        self._busy = True
        if records and self._thread is not None:
            kept = asyncio.get_running_loop().run_in_executor(self._thread, self._store.apply, records)
            kept.add_done_callback(lambda done: self._done(done.exception(), batch))
            return
        error: BaseException | None = None
        try:
            self._store.apply(records)
        except Exception as raised:
            error = raised
        self._done(error, batch)

    def _done(self, error: BaseException | None, batch: list[tuple[list[Record], Callable[[], None]]]) -> None:
        self.commits += 1
        try:
            if error is not None:
                raise error
            for _, then in batch:
                then()
        except Exception as raised:
            if not self._failure.done():
                self._failure.set_exception(raised)
            return
        self._busy = False
        if self._waiting:
            self._flush()

    def close(self) -> None:
        """Wait for what is being kept. What waits is dropped: it has not been sent either."""
        if self._thread is not None:
            self._thread.shutdown(wait=True)
        if self._failure.done() and not self._failure.cancelled():
            self._failure.exception()  # it has been seen
        self._store.close()
