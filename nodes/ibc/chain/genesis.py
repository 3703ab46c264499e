"""The first state of a chain, and the chain itself, from what a scenario says.

Invariant: two nodes with the same settings and genesis time have the same chain. Genesis writes are committed with
block 1, as in the SDK; header 1 names the root of an empty state.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from emulator.model.errors import Unfit
from nodes.ibc.chain.ante import FEE_COLLECTOR, Ante, Fees
from nodes.ibc.chain.app import App, Module, Moment
from nodes.ibc.chain.auth import Accounts
from nodes.ibc.chain.bank import Bank
from nodes.ibc.chain.bech32 import encode
from nodes.ibc.chain.chain import Chain, Limits
from nodes.ibc.chain.consensus import Churn, Committee
from nodes.ibc.chain.ibc_queries import IbcQueries
from nodes.ibc.chain.ibc_queries_v2 import questions_v2
from nodes.ibc.chain.keys import AccountKey
from nodes.ibc.chain.ledger import Ledger
from nodes.ibc.chain.modules import BankModule, IbcModule
from nodes.ibc.chain.queries import Queries
from nodes.ibc.client.keeper import Clients
from nodes.ibc.comet.json_form import write_validators
from nodes.ibc.comet.moments import write_time
from nodes.ibc.core.rehearsal import rehearsing
from nodes.ibc.core.router import Router
from nodes.ibc.core.state import Context
from nodes.ibc.proofs.forms import IAVL, SIMPLE, Form
from nodes.ibc.proofs.multistore import Multistore
from nodes.ibc.proofs.store import ProvableStore
from nodes.ibc.proto.well_known import Timestamp

__all__ = ["Extension", "Settings", "address_of", "chain_of", "funded", "genesis_form", "queries_of", "revision_of"]

STORES = ("acc", "bank", "ibc", "packetfowardmiddleware", "transfer")
FORMS: Mapping[str, Form] = {"iavl": IAVL, "simple": SIMPLE}
_CHAIN_ID = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._-]{0,49}")
_PREFIX = re.compile(r"[a-z]{1,20}")


class Extension(Protocol):
    """A module that a chain has only where its settings say so, with a store of its own."""

    @property
    def store(self) -> str:
        """The name of its store. A chain proves what lies there as it proves what lies in `ibc`."""

    @property
    def accounts(self) -> frozenset[bytes]:
        """Accounts that no key owns, and that take nothing from users."""

    def module(self, router: Router, bank: Bank) -> Module:
        """What handles its messages on a chain."""

    def begin(self, context: Context) -> None:
        """Write its part of the genesis."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What makes one chain differ from another."""

    chain_id: str
    prefix: str = "cosmos"
    fees: Fees = field(default_factory=lambda: Fees("stake"))
    balances: Mapping[str, Mapping[str, int]] = field(default_factory=dict)  # by address
    powers: tuple[int, ...] = (10, 10, 10, 10)  # of the validators
    churn: Churn = field(default_factory=Churn)
    limits: Limits = field(default_factory=Limits)
    store: str = "iavl"
    keep_blocks: int = 0  # 0: all
    extensions: tuple[Extension, ...] = ()
    authority: str = ""  # address that may recover clients; "": nobody

    def __post_init__(self) -> None:
        if not _CHAIN_ID.fullmatch(self.chain_id):
            raise Unfit(f"chain id {self.chain_id!r}", "at most 50 letters, digits, dots, dashes")
        if not _PREFIX.fullmatch(self.prefix):
            raise Unfit(f"address prefix {self.prefix!r}", "lower-case letters")
        if self.store not in FORMS:
            raise Unfit(f"store {self.store!r}", f"one of {', '.join(FORMS)}")
        names = [*STORES, *(each.store for each in self.extensions)]
        if len(set(names)) < len(names):
            raise Unfit(f"stores {', '.join(names)}", "each once")


def revision_of(chain_id: str) -> int:
    """The revision in a chain id such as "osmosis-1"; 0 where there is none."""
    match = re.fullmatch(r".*[^\n-]-([1-9][0-9]*)", chain_id)
    return int(match[1]) if match else 0


def chain_of(settings: Settings, genesis_time_ns: int) -> Chain:
    """A chain before its first block. AbciError where a balance has no address or no amount."""
    accounts = Accounts(settings.prefix)
    extensions = settings.extensions
    bank = Bank(accounts, frozenset({FEE_COLLECTOR}).union(*(each.accounts for each in extensions)))
    ante = Ante(settings.chain_id, accounts, bank, settings.fees, settings.limits.block_gas)
    form = FORMS[settings.store]
    names = (*STORES, *(each.store for each in extensions))
    state = Multistore({name: ProvableStore(form, settings.keep_blocks) for name in names})
    router = Router(Clients(), bank, authority=settings.authority)
    modules = [each.module(router, bank) for each in extensions]  # which may give the router applications
    app = App(
        settings.chain_id,
        revision_of(settings.chain_id),
        bank,
        ante,
        # An extension may take over messages of IBC: it stands before that module.
        [BankModule(bank), *modules, IbcModule(router, rehearsing(router))],
    )
    genesis = app.context(state.stores, Moment(0, genesis_time_ns))
    for address, coins in settings.balances.items():
        account = accounts.account(address)
        accounts.ensure(genesis, account)
        for denom, amount in sorted(coins.items()):
            bank.mint(genesis, account, denom, amount)
    for extension in extensions:
        extension.begin(genesis)
    committee = Committee(settings.chain_id, settings.powers, settings.churn)
    return Chain(app, state, committee, Ledger(settings.keep_blocks), settings.limits, genesis_time_ns)


def queries_of(chain: Chain, bond_denom: str) -> Queries:
    """What the chain is asked by `abci_query`."""
    more = (*IbcQueries(Clients(), chain.app.bank).questions(), *questions_v2())
    return Queries(chain, chain.app.bank, bond_denom, more)


def funded(names: Iterable[str], prefix: str, coins: Mapping[str, int]) -> dict[str, Mapping[str, int]]:
    """The same coins for each account: an address of the chain, or the name of a key."""
    return {address_of(name, prefix): coins for name in names}


def address_of(name: str, prefix: str) -> str:
    """The address of a key by its name; an address of the chain is its own."""
    return name if name.startswith(f"{prefix}1") else encode(prefix, AccountKey.named(name).address)


def genesis_form(settings: Settings, chain: Chain) -> dict[str, Any]:
    """The genesis as the RPC shows it."""
    return {
        "genesis_time": write_time(Timestamp.of_ns(chain.genesis_time_ns)),
        "chain_id": settings.chain_id,
        "initial_height": "1",
        "consensus_params": {
            "block": {"max_bytes": str(settings.limits.block_bytes), "max_gas": str(settings.limits.block_gas)},
            "evidence": {"max_age_num_blocks": "100000", "max_age_duration": "172800000000000", "max_bytes": "1048576"},
            "validator": {"pub_key_types": ["ed25519"]},
            "version": {"app": "0"},
            "abci": {"vote_extensions_enable_height": "0"},
        },
        "validators": [
            {
                "address": form["address"],
                "pub_key": form["pub_key"],
                "power": form["voting_power"],
                "name": "",
            }
            for form in write_validators(chain.committee.at(1).validators)
        ],
        "app_hash": "",
        "app_state": {
            "bank": {
                "balances": [
                    {
                        "address": address,
                        "coins": [{"denom": denom, "amount": str(amount)} for denom, amount in coins.items()],
                    }
                    for address, coins in settings.balances.items()
                ]
            }
        },
    }
