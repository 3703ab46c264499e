"""Chains whose transfers run over ordered channels, too, and may be cut short by anybody: ICS-20 forbids both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nodes.ibc.chain.process import Chain
from nodes.ibc.core.router import Router
from nodes.ibc.core.transfer import PORT
from nodes.ibc.proto.channel import Order


class _Lenient:
    """The transfer module, which takes every channel for an unordered one."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def open_init(self, context: Any, ordering: Order, *more: Any) -> str:
        return str(self._inner.open_init(context, Order.UNORDERED, *more))

    def open_try(self, context: Any, ordering: Order, *more: Any) -> str:
        return str(self._inner.open_try(context, Order.UNORDERED, *more))

    def close_init(self, context: Any, port: str, channel: str) -> None: ...


@dataclass(frozen=True)
class Lenience:
    """The settings of a chain have this among their extensions."""

    store: str = "lenience"
    accounts: frozenset[bytes] = frozenset()

    def module(self, router: Router, bank: Any) -> Any:
        router.applications[PORT] = _Lenient(router.applications[PORT])
        return self

    def begin(self, context: Any) -> None: ...

    def handles(self, message: Any) -> bool:
        return False

    def redundant(self, done: Any) -> bool:
        return False


class LenientChain(Chain):
    def extensions(self) -> tuple[Any, ...]:
        return (Lenience(),)
