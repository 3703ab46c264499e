"""The client beside each etcd member: it writes where the leader is, reads everywhere, and kills the leader once.

Samples: `put_s` of each acknowledged write. Events: `acknowledged` (`key`, `term`), `put-failed` (`key`, `text`),
`leader` (`term`, `leads`: a member follows another leader, or leads), `read` (`began_s`, `ok`: a linearizable read at
this member), `killed`, `audit` (`keys`: what a linearizable read that began at `began_s` found, in parts).

Invariant: a key is written at most once, and `acknowledged` is recorded only after etcd has said so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from emulator.model.units import Duration
from emulator.sdk.node import Node
from scenarios.etcd.api import Etcd, EtcdError, Status

PREFIX = "key/"
AUDIT_KEYS = 200  # in one event
T = TypeVar("T")


class Client(Node):
    """One client; its member listens on the node's loopback."""

    @dataclass(frozen=True, slots=True)
    class Config:
        port: int = 2379
        member: str = "etcd"  # name of the program that it kills
        write_interval_s: Duration = 0.1  # from an answer to the next write
        read_interval_s: Duration = 0.5
        status_interval_s: Duration = 0.05
        timeout_s: Duration = 2.0
        kill_s: Duration = 0.0  # from the client's start until the leader is killed; 0: never
        down_s: Duration = 8.0  # until it is started again
        audit_s: Duration = 0.0  # from the client's start until the first of the clients reads all keys; 0: never

    config: Config

    async def run(self) -> None:
        self._status: Status | None = None
        tasks = [self._follow(), self._write(), self._read()]
        if self.config.kill_s:
            tasks.append(self._kill())
        if self.config.audit_s and self.context.name < min(self.context.members, default="~"):
            tasks.append(self._audit())
        await self.context.until_stopped(*tasks)

    async def _follow(self) -> None:
        """Know whom the member follows."""
        etcd, told = self._connection(), None
        while True:
            try:
                self._status = await _asked(etcd.status)
            except EtcdError:
                self._status = None
            now = self._status
            if now is not None and now.leader != "0" and (now.term, now.leader) != told:
                told = now.term, now.leader
                self.context.emit("leader", term=now.term, leads=now.leads)
            await self.context.sleep(self.config.status_interval_s)

    async def _write(self) -> None:
        etcd, number = self._connection(), 0
        while True:
            status = self._status
            if status is None or not status.leads:
                await self.context.sleep(self.config.status_interval_s)
                continue
            number += 1
            key, began_s = f"{PREFIX}{self.context.name}/{number:06}", self.context.now()
            try:
                await _asked(partial(etcd.put, key, str(began_s)))
            except EtcdError as error:
                self.context.emit("put-failed", key=key, text=str(error)[:200])
            else:
                self.context.sample("put_s", self.context.now() - began_s, t_s=began_s)
                self.context.emit("acknowledged", key=key, term=status.term)
            await self.context.sleep(self.config.write_interval_s)

    async def _read(self) -> None:
        etcd = self._connection()
        while True:
            began_s = self.context.now()
            try:
                await _asked(partial(etcd.keys, f"{PREFIX}none"))
            except EtcdError:
                self.context.emit("read", began_s=began_s, ok=False)
            else:
                self.context.emit("read", began_s=began_s, ok=True)
            await self.context.sleep(self.config.read_interval_s)

    async def _kill(self) -> None:
        await self.context.sleep(self.config.kill_s)
        if self._status is None or not self._status.leads:
            await asyncio.get_running_loop().create_future()
        what: dict[str, Any] = {"nodes": [self.context.name], "program": self.config.member}
        assert self._status is not None
        self.context.emit("killed", term=self._status.term)
        await self.context.act("crash", **what)
        await self.context.sleep(self.config.down_s)
        await self.context.act("restart", **what)
        await asyncio.get_running_loop().create_future()

    async def _audit(self) -> None:
        etcd = self._connection()
        await self.context.sleep(self.config.audit_s)
        while True:
            began_s = self.context.now()
            try:
                keys = await _asked(partial(etcd.keys, PREFIX))
                break
            except EtcdError:
                await self.context.sleep(self.config.read_interval_s)
        for first in range(0, len(keys) + 1, AUDIT_KEYS):
            self.context.emit("audit", began_s=began_s, keys=keys[first : first + AUDIT_KEYS])
        await asyncio.get_running_loop().create_future()

    def _connection(self) -> Etcd:
        etcd = Etcd("127.0.0.1", self.config.port, self.config.timeout_s)
        self.context.exit_stack.callback(etcd.close)
        return etcd


async def _asked(request: Callable[[], T]) -> T:
    """What a blocking request returns, while other tasks go on."""
    return await asyncio.to_thread(request)
