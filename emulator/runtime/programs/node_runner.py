"""A node process, from the fork to its exit: one `Node` under its event loop, or a command that replaces it.

Invariant: the process says Ready only after `setup`, runs only after Start has named T0, and every error in it
becomes a line in its log and a Failed to the supervisor.
"""

from __future__ import annotations

import asyncio
import dataclasses
import importlib
import logging
import os
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, assert_never, get_type_hints

from emulator.fabric.kernel.syscalls import return_zero_pages
from emulator.model.clock import MonotonicClock, monotonic_ns, set_timer_slack
from emulator.model.errors import EmulationError, SkyloomError
from emulator.runtime.control.channel import Outbox
from emulator.runtime.control.coordination import ChannelCoordination
from emulator.runtime.control.encoding import BadMessage
from emulator.runtime.control.messages import TO_NODE, ActionDone, Failed, Met, Ready, Spawn, Start, Stop
from emulator.runtime.control.transport import Transport, hear, say
from emulator.sdk.node import Node, NodeContext, Peer

FLUSH_S = 0.05  # how long a record waits to share a packet with others
GRACE_S = 0.5  # from Stop to the cancellation of `run`
DRAIN_S = 2.0
PROVISIONAL_T0_NS = 20_000_000_000  # before T0 is known scenario time is negative: T0 is taken as 20 s ahead


def set_process_name(name: str) -> None:
    """The name under which `ps` and `top` show this process."""
    try:
        with open("/proc/self/comm", "wb", buffering=0) as file:  # as text it would cost each node 60 kB
            file.write(name[:15].encode())
    except OSError:  # no /proc here; it is only a name
        pass


@cache
def load_program(dotted: str) -> type[Node]:
    """The class that "package.module:Class" names. EmulationError says what is wrong with it."""
    module_name, _, class_name = dotted.partition(":")
    try:
        found = getattr(importlib.import_module(module_name), class_name)
    except (ImportError, AttributeError, ValueError) as error:
        raise EmulationError(f"program {dotted}: {error}; expected 'package.module:Class'") from error
    if not (isinstance(found, type) and issubclass(found, Node)):
        raise EmulationError(f"program {dotted} is not a subclass of emulator.sdk.node.Node")
    return found


@cache
def field_types(config: type[Any]) -> dict[str, Any]:
    """Types of a config's fields; costly, so the zygote asks once for all its children."""
    return get_type_hints(config)


def configure(config: type[Any], values: dict[str, Any]) -> Any:
    """An instance of the dataclass `config` from plain SI values by field name; nested dataclasses likewise."""
    hints = field_types(config)  # type: ignore[arg-type]
    made = {}
    for name, value in values.items():
        hint = hints.get(name)
        nested = isinstance(value, dict) and isinstance(hint, type) and dataclasses.is_dataclass(hint)
        made[name] = configure(hint, value) if nested else value  # type: ignore[arg-type]
    return config(**made)


class _ScenarioTime(logging.Filter):
    """Stamps log lines with the scenario time of this process's clock."""

    clock = MonotonicClock(0)

    def filter(self, record: logging.LogRecord) -> bool:
        record.t_s = self.clock.now()
        return True


def log_to_stderr() -> None:
    """Text logs of this process and its children: one line each on standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(_ScenarioTime())
    handler.setFormatter(logging.Formatter("{t_s:9.3f} {levelname:7} {name}: {message}", style="{"))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)


class PeersExcept(Mapping[str, Peer]):
    """All peers but one, without a copy of a table that all processes of a large run share."""

    def __init__(self, peers: dict[str, Peer], but: str) -> None:
        self._peers = peers
        self._but = but

    def __getitem__(self, name: str) -> Peer:
        if name == self._but:
            raise KeyError(name)
        return self._peers[name]

    def __iter__(self) -> Iterator[str]:
        return (name for name in self._peers if name != self._but)

    def __len__(self) -> int:
        return len(self._peers) - (self._but in self._peers)


class NodeRunner:
    """The coroutine side of a node process."""

    def __init__(self, spec: Spawn, channel: Transport, peers: dict[str, Peer], members: Sequence[str]) -> None:
        self.spec = spec
        self.channel = channel
        self.clock = MonotonicClock(monotonic_ns() + PROVISIONAL_T0_NS)
        self.outbox = Outbox(channel, self.clock)
        self.coordination = ChannelCoordination(channel)
        self.started: asyncio.Future[int] | None = None
        name = spec.node
        self.context = NodeContext(
            name=name,
            program=spec.program,
            seed=spec.seed,
            address=peers[name],
            peers=PeersExcept(peers, name),
            store=spec.store,
            key_log=Path(spec.key_log) if spec.key_log else None,
            clock=self.clock,
            sink=self.outbox,
            members=tuple(other for other in members if other != name),
            coordination=self.coordination,
        )

    def receive(self) -> None:
        """The supervisor spoke, or it is gone."""
        try:
            message = hear(self.channel, TO_NODE)
        except BlockingIOError:
            return
        except BadMessage as error:
            sys.stderr.write(f"{error}\n")
            return
        match message:
            case None:
                asyncio.get_running_loop().remove_reader(self.channel.fileno())
                self.context.stopping.set()
            case Start(t0_ns):
                if self.started is not None and not self.started.done():
                    self.started.set_result(t0_ns)
            case Stop():
                self.context.stopping.set()
            case Met() | ActionDone():
                self.coordination.heard(message)
            case other:
                assert_never(other)

    async def flushing(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_S)
            self.coordination.flush()
            self.outbox.flush()

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        self.started = loop.create_future()
        loop.add_signal_handler(signal.SIGTERM, self.context.stopping.set)
        _ScenarioTime.clock = self.clock
        stage = "setup"
        try:
            program = load_program(self.spec.run)
            node = program(configure(program.Config, self.spec.config), self.context)
            async with self.context.exit_stack:
                try:
                    await node.setup()
                    self.channel.set_timeout(0.0)
                    loop.add_reader(self.channel.fileno(), self.receive)
                    say(self.channel, Ready())
                    stopping = asyncio.ensure_future(self.context.stopping.wait())
                    either: list[asyncio.Future[Any]] = [self.started, stopping]
                    await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
                    stage = "run"
                    if self.started.done():
                        await self._play(node, stopping)
                    stopping.cancel()
                finally:
                    await node.close()
        except Exception as error:
            if isinstance(error, SkyloomError):  # in words for users
                failed = Failed(stage, str(error)[:2000], error.exit_code)
                sys.stderr.write(f"{error}\n")
            else:
                failed = Failed(stage, f"{type(error).__name__}: {error}"[:2000])
                traceback.print_exc()
            self.channel.set_timeout(DRAIN_S)
            try:
                say(self.channel, failed)
            except OSError:  # the supervisor is gone or stuck; the exit status still says it
                pass
            self.channel.set_timeout(0.0)
            raise

    def drain(self) -> None:
        """Before the process ends: what is still to be said."""
        self.channel.set_timeout(DRAIN_S)
        self.coordination.drain()
        self.channel.set_timeout(0.0)
        self.outbox.drain(DRAIN_S)

    async def _play(self, node: Node, stopping: asyncio.Future[Any]) -> None:
        assert self.started is not None
        self.clock.t0_ns = self.started.result()
        flushing = asyncio.ensure_future(self.flushing())
        running = asyncio.ensure_future(self._run_from(node, self.spec.start_s))
        try:
            await asyncio.wait([running, stopping], return_when=asyncio.FIRST_COMPLETED)
            if not running.done():
                await asyncio.wait([running], timeout=GRACE_S)
            if not running.done():
                running.cancel()
                await asyncio.wait([running])
            if not running.cancelled():
                running.result()
        finally:
            flushing.cancel()

    async def _run_from(self, node: Node, start_s: float) -> None:
        await self.context.sleep_until(start_s)
        await node.run()


def run_program(spec: Spawn, channel: Transport, peers: dict[str, Peer], members: Sequence[str] = ()) -> int:
    """Live as a Node; returns the exit status. The caller has entered the node's namespace."""
    set_timer_slack()
    set_process_name(spec.node or "zygote")
    if spec.environment:
        os.environ.clear()
    os.environ.update({**spec.environment, **spec.variables})
    runner = NodeRunner(spec, channel, peers, members)
    try:
        import uvloop

        loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
        return_zero_pages(loop)  # uvloop sets a receive buffer of 250 kB to zeros, which few programs use
    except ImportError:
        loop = asyncio.new_event_loop()
    status = 0
    try:
        loop.run_until_complete(runner.run())
    except BaseException as error:
        if not isinstance(error, Exception):
            traceback.print_exc()
        status = error.code if isinstance(error, SystemExit) and isinstance(error.code, int) else 1
    finally:
        runner.drain()
        loop.close()
    return status


def run_command(spec: Spawn, channel: Transport | None) -> int:
    """Become the command; returns only where that fails. With a channel, wait for Start first."""
    command, environment = spec.command, {**(spec.environment or os.environ), **_key_log(spec), **spec.variables}
    if spec.bin:
        environment["PATH"] = f"{spec.bin}:{environment.get('PATH', os.defpath)}"
    path = shutil.which(command[0], path=environment.get("PATH"))
    if path is None:
        text = f"{command[0]}: no such program"
        sys.stderr.write(text + "\n")
        if channel is not None:
            say(channel, Failed("setup", text))
        return 127
    if channel is not None:
        say(channel, Ready())
        message = hear(channel, TO_NODE)
        if not isinstance(message, Start):
            return 0
        clock = MonotonicClock(message.t0_ns)
        while (left_s := spec.start_s - clock.now()) > 0.0:
            time.sleep(min(left_s, 1.0))  # a host's clock may not run as the run's does
    try:
        os.execve(path, command, environment)
    except OSError as error:
        sys.stderr.write(f"{path}: {error.strerror}\n")
        return 126


def _key_log(spec: Spawn) -> dict[str, str]:
    """The variable that curl, browsers and QUIC stacks log TLS keys by, where keys are wanted and can be written."""
    if not spec.key_log:
        return {}
    path = Path(spec.key_log)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    except OSError:  # the account of the node's image may not; some programs end where they cannot write their keys
        return {}
    return {"SSLKEYLOGFILE": str(path)}
