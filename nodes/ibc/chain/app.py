"""The state machine of a chain: transactions in, results and a new state out.

Invariant: state after a block follows from the state before it, the block's height, time and transactions, and nothing
else. A transaction that fails the checks of `ante` changes nothing; one whose messages fail has paid its fee and used
its sequence, and changes nothing more. So does one that runs into a fault of this program (PANIC): it stops no chain.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from nodes.ibc.chain.ante import Ante, Mode
from nodes.ibc.chain.bank import Bank
from nodes.ibc.chain.errors import PANIC, UNKNOWN_REQUEST
from nodes.ibc.chain.gas import GasMeter, Metered
from nodes.ibc.chain.results import TxResult
from nodes.ibc.chain.transactions import Transaction, read
from nodes.ibc.core.errors import REDUNDANT_TRANSACTION, AbciError
from nodes.ibc.core.events import Event
from nodes.ibc.core.state import Branch, Context, Store
from nodes.ibc.proto.cosmos import TxMsgData
from nodes.ibc.proto.ibc import Height
from nodes.ibc.proto.well_known import Any
from nodes.ibc.proto.wire import Message

__all__ = ["App", "Module", "Moment", "Stores"]

Stores = Mapping[str, Store]


@dataclass(frozen=True, slots=True)
class Moment:
    """The block that a transaction is run in."""

    height: int
    time_ns: int


class Module(Protocol):
    """What handles some kinds of messages."""

    def handles(self, message: Message) -> bool: ...

    def signer(self, message: Message) -> str:
        """The address that must have signed a message of these kinds."""

    def deliver(self, context: Context, message: Message) -> Message:
        """Act on a message; its response. AbciError where it is refused."""

    def rehearse(self, context: Context, message: Message) -> Message | None:
        """What `deliver` would answer to a message that relays, with no application told; None for other kinds."""

    def redundant(self, done: Sequence[tuple[Message, Message]]) -> bool:
        """Whether messages that relay, by their responses, did nothing at all."""


@runtime_checkable
class BlockModule(Protocol):
    """A module that acts at the beginning of each block, too."""

    def begin_block(self, context: Context, last_block_hash: bytes) -> None:
        """Act before the block's transactions. The hash of the block before is empty in the first block."""


class App:
    """The application over a chain's stores."""

    def __init__(self, chain_id: str, revision: int, bank: Bank, ante: Ante, modules: Sequence[Module]) -> None:
        self.chain_id = chain_id
        self.revision = revision
        self.bank = bank
        self._ante = ante
        self._modules = modules

    def context(self, stores: Stores, moment: Moment) -> Context:
        """What a message or a query of that block acts on."""
        return Context(self.chain_id, Height(self.revision, moment.height), moment.time_ns, stores)

    def begin_block(self, stores: Stores, moment: Moment, last_block_hash: bytes) -> None:
        """Let modules act before a block's transactions."""
        context = self.context(stores, moment)
        for module in self._modules:
            if isinstance(module, BlockModule):
                module.begin_block(context, last_block_hash)

    def run(self, stores: Stores, moment: Moment, data: bytes, mode: Mode) -> TxResult:
        """Run a transaction, and keep in the stores what it did.

        CHECK and RECHECK keep what `ante` did, and what messages do that relay packets.
        """
        meter = GasMeter(0)
        events: list[Event] = []
        wanted = 0
        try:
            transaction = read(data)
            wanted = transaction.gas_wanted
            accounts = self._signers(transaction)
            meter = self._ante.meter(transaction, mode)
            checking = mode in (Mode.CHECK, Mode.RECHECK)
            trial = {name: Branch(store) for name, store in stores.items()} if checking else {}
            events += self._phase(
                trial or stores,
                moment,
                meter,
                lambda context: self._ante.run(context, transaction, accounts, meter, mode),
            )
            if checking:
                self._require_use(trial, moment, transaction)
                for branch in trial.values():
                    branch.write()
                return TxResult(gas_wanted=wanted, gas_used=meter.used, events=tuple(events))
            responses: list[Any] = []
            events += self._phase(
                stores, moment, meter, lambda context: responses.extend(self._deliver(context, transaction))
            )
        except Exception as error:
            refusal = error if isinstance(error, AbciError) else PANIC.error(f"{type(error).__name__}: {error}")
            return TxResult(refusal.code, refusal.codespace, refusal.message, b"", wanted, meter.used, tuple(events))
        answers = TxMsgData(msg_responses=tuple(responses)).encode()
        return TxResult(data=answers, gas_wanted=wanted, gas_used=meter.used, events=tuple(events))

    def _phase(
        self, stores: Stores, moment: Moment, meter: GasMeter, run: Callable[[Context], object]
    ) -> Sequence[Event]:
        """Run something that is paid for in gas: all that it did is kept, or nothing where it raises."""
        branches = {name: Branch(store) for name, store in stores.items()}
        context = self.context({name: Metered(each, meter) for name, each in branches.items()}, moment)
        context.spend = meter.spend
        run(context)
        for branch in branches.values():
            branch.write()
        return context.events

    def _signers(self, transaction: Transaction) -> tuple[bytes, ...]:
        """Who must sign, each once, in the order of the messages."""
        signers: dict[bytes, None] = {}
        for message in transaction.messages:
            signers[self._ante.accounts.account(self._module_of(message).signer(message))] = None
        return tuple(signers)

    def _require_use(self, stores: Stores, moment: Moment, transaction: Transaction) -> None:
        """AbciError for a transaction that only relays what was relayed before: its fee would be lost.

        What it would do is kept, so that another one which would do the same after it is found out. One that fails is
        let through, as it may rest on a transaction that waits before it.
        """
        branches = {name: Branch(store) for name, store in stores.items()}
        context = self.context(branches, moment)
        done = []
        try:
            for message in transaction.messages:
                answer = self._module_of(message).rehearse(context, message)
                if answer is None:
                    return
                done.append((message, answer))
        except AbciError:
            return
        if any(module.redundant(done) for module in self._modules):
            raise REDUNDANT_TRANSACTION.error()
        for branch in branches.values():
            branch.write()

    def _module_of(self, message: Message) -> Module:
        for module in self._modules:
            if module.handles(message):
                return module
        raise UNKNOWN_REQUEST.error(f"no message handler found for /{message.NAME}")

    def _deliver(self, context: Context, transaction: Transaction) -> Sequence[Any]:
        responses = []
        for index, message in enumerate(transaction.messages):
            module = self._module_of(message)
            before = len(context.events)
            try:
                responses.append(Any.of(module.deliver(context, message)))
            except AbciError as error:
                raise error.wrap(f"failed to execute message; message index: {index}") from None
            emitted = context.events[before:]
            sender = ("action", f"/{message.NAME}"), ("sender", module.signer(message))
            name = "module", _module_name(message)
            told = any(each.type == "message" and name in each.attributes for each in emitted)
            action = Event("message", sender if told else (*sender, name))
            number = ("msg_index", str(index))
            context.events[before:] = [Event(each.type, (*each.attributes, number)) for each in (action, *emitted)]
        return responses


def _module_name(message: Message) -> str:
    """The module of a message, as the SDK takes it from the name: "bank" of cosmos.bank.v1beta1.MsgSend."""
    return message.NAME.split(".")[1]
