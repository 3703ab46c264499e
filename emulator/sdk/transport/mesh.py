"""The mesh: one link between any two members of a service, over TLS.

The member with the smaller number dials, both show certificates. Invariant: a message comes from the member whose
private key the other side has shown to hold, whatever its address or its greeting says. Two processes with one key take
the connection from each other: the last to come is heard.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from emulator.sdk.node import NodeContext
from emulator.sdk.transport.codec import Codec, M
from emulator.sdk.transport.config import LinkConfig
from emulator.sdk.transport.connection import Connection
from emulator.sdk.transport.endpoint import Endpoint
from emulator.sdk.transport.frames import Hello
from emulator.sdk.transport.trust import Identity, Trust

__all__ = ["Mesh"]


class Mesh(Endpoint[int, M]):
    """`certificates` are those of all members by node name, this one's too; a peer's key is its place there.

    In `setup`: make it and `await open()`. In `run`: a task of `run()`. `on_message(member, message)` gets what comes;
    messages of classes that are not in `accepts` are refused unread. ValueError where this identity is no member.
    """

    def __init__(
        self,
        context: NodeContext,
        codec: Codec[M],
        on_message: Callable[[int, M], None],
        *,
        identity: Identity,
        certificates: Mapping[str, bytes],
        service: str,
        port: int,
        config: LinkConfig | None = None,
        accepts: Collection[type[Any]] | None = None,
        ports: Sequence[int] | None = None,
    ) -> None:
        members = list(certificates)
        if identity.name not in certificates:
            raise ValueError(f"{identity.name} is not a member; expected one of {', '.join(members)}")
        me = members.index(identity.name)
        super().__init__(codec, service, context.address.ipv4, on_message, config or LinkConfig(), accepts, number=me)
        self.others = tuple(number for number in range(len(members)) if number != me)
        self._numbers = {certificate: number for number, certificate in enumerate(certificates.values())}
        self._port = port
        self._trust = Trust(identity, certificates.values(), self._key_log(context))
        for number in self.others:
            if me < number:
                there = ports[number] if ports else port  # other ports only where all share one address, as in tests
                self._dials(number, context.peers[members[number]].ipv4, there, self._trust.dial)

    async def open(self) -> int:
        """Listen; the port."""
        return await self._listen(self._port, self._trust.accept)

    def broadcast(self, message: M, round: int | None = None) -> int:
        """Send to all others; for how many there was room."""
        return self.send_bytes(self.others, self._encode(message), round)

    def _admit(self, connection: Connection, hello: Hello | None, dialled: int | None) -> tuple[int | None, str]:
        assert connection.tls is not None
        number = self._numbers.get(connection.tls.peer or b"")
        if number is None:
            return None, "stranger"
        if dialled is not None and number != dialled:
            return None, "other-member"
        if hello is not None and hello.sender != number:
            return None, "false-sender"
        return number, ""

    @staticmethod
    def _key_log(context: NodeContext) -> Path | None:
        """Where the secrets of all sessions go, if anywhere."""
        if context.key_log is not None:
            context.key_log.parent.mkdir(parents=True, exist_ok=True)
        return context.key_log
