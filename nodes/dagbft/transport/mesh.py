"""The mesh: one link between any two validators of a service (their primaries, or their workers of one index).

The validator with the smaller number dials, both show certificates. Invariant: a message comes from the validator whose
private key the other side has shown to hold, whatever its address or its greeting says. Two processes with one key take
the connection from each other: the last to come is heard.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from emulator.sdk.node import NodeContext
from nodes.dagbft.identity import Identity
from nodes.dagbft.messages import Message
from nodes.dagbft.transport.config import LinkConfig
from nodes.dagbft.transport.connection import Connection
from nodes.dagbft.transport.endpoint import Endpoint
from nodes.dagbft.transport.frames import Hello
from nodes.dagbft.transport.tls import Trust, certificate_of
from nodes.dagbft.wire import encode


class Mesh(Endpoint[int]):
    """`validators` are the names of all, this one's too; a peer's key is its place there.

    In `setup`: make it and `await open()`. In `run`: a task of `run()`. `on_message(validator, message)` gets what
    comes; messages of classes that are not in `accepts` are refused unread.
    """

    def __init__(
        self,
        context: NodeContext,
        identity: Identity,
        validators: Sequence[str],
        on_message: Callable[[int, Message], None],
        *,
        service: str,
        port: int,
        config: LinkConfig | None = None,
        accepts: Collection[type[Message]] | None = None,
        ports: Sequence[int] | None = None,
    ) -> None:
        if identity.name not in validators:
            raise ValueError(f"{identity.name} among no validators; wanted one of {', '.join(validators)}")
        me = validators.index(identity.name)
        super().__init__(service, context.address.ipv4, on_message, config or LinkConfig(), accepts, number=me)
        self.others = tuple(number for number in range(len(validators)) if number != me)
        certificates = [certificate_of(Identity.of(context.seed, name)) for name in validators]
        self._numbers = {certificate: number for number, certificate in enumerate(certificates)}
        self._port = port
        self._trust = Trust(identity, certificates, self._key_log(context))
        for number in self.others:
            if me < number:
                there = ports[number] if ports else port  # other ports only where all share one address, as in tests
                self._dials(number, context.peers[validators[number]].ipv4, there, self._trust.dial)

    async def open(self) -> int:
        """Listen; the port."""
        return await self._listen(self._port, self._trust.accept)

    def broadcast(self, message: Message, round: int | None = None) -> int:
        """Send to all others; for how many there was room."""
        return self.send_bytes(self.others, encode(message), round)

    def _admit(self, connection: Connection, hello: Hello | None, dialled: int | None) -> tuple[int | None, str]:
        assert connection.tls is not None
        number = self._numbers.get(connection.tls.peer or b"")
        if number is None:
            return None, "stranger"
        if dialled is not None and number != dialled:
            return None, "other-validator"
        if hello is not None and hello.sender != number:
            return None, "false-sender"
        return number, ""

    @staticmethod
    def _key_log(context: NodeContext) -> Path | None:
        """Where the secrets of all sessions go, if anywhere."""
        if context.key_log is not None:
            context.key_log.parent.mkdir(parents=True, exist_ok=True)
        return context.key_log
