"""Fees and stakes of random traffic: what is in escrow is what open messages can cost at most, and no coin is lost."""

from __future__ import annotations

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from nodes.ibc.core.transfer import escrow_account
from nodes.xroute.identity import application_client
from nodes.xroute.keys import Key
from nodes.xroute.module import fees
from nodes.xroute.module.messages import Answer, Fee, MsgStake, MsgUnstake
from nodes.xroute.module.stake import STAKES
from nodes.xroute.proofs.parcel import Parcel
from tests.support.ibc_chain import address
from tests.support.xroute_world import FUNDS, NAMES, World, answer_in

LINE = (("a", "b"), ("b", "c"))
STEPS = 12


class Traffic:
    """Messages from a to c with fees, in any order of what may become of them."""

    def __init__(self, seed: int) -> None:
        self.random = Random(f"xroute escrow {seed}")
        self.world = World(LINE)
        self.sent: list[Parcel] = []
        self.answered: list[tuple[Parcel, Answer]] = []
        self.staked: dict[str, bool] = {}  # whether a relayer wants to leave
        self.in_flight = 0  # coins of transfers that wait on a, or are on c

    def step(self) -> None:
        random, world = self.random, self.world
        match random.choice(["send", "send", "deliver", "answer", "late", "stake"]):
            case "send":
                amounts = [random.randint(0, 5000) for _ in range(4)]
                fee = Fee("stake", *amounts, random.randint(0, 8))
                self.sent.append(world.send("a", "c", 10, fee=fee, timeout_s=random.choice([300, 80_000])))
                self.in_flight += 10
            case "deliver" if self.sent:
                parcel = self.sent.pop(random.randrange(len(self.sent)))
                delivered = world.deliver("cba", parcel, pays_updates=random.random() < 0.5, payee=self._payee())
                if delivered.code:
                    self.sent.append(parcel)  # it is late
                else:
                    self.answered.append((parcel, answer_in(delivered)))
            case "answer" if self.answered:
                settled = world.acknowledge("abc", *self.answered.pop(random.randrange(len(self.answered))))
                assert settled.code == 0, settled.log
            case "late" if self.sent:
                parcel = min(self.sent, key=lambda each: each.packet.timeout_timestamp)
                world.wait_until(parcel.packet.timeout_timestamp)
                settled = world.time_out("abc", parcel)
                assert settled.code == 0, settled.log
                self.sent.remove(parcel)
                self.in_flight -= 10
            case "stake":
                self._stake(random.choice(["relayer", "other", "voter"]))

    def _payee(self) -> bytes:
        """Accounts, one that takes nothing, and bytes that are none."""
        bank = self.world["a"].chain.app.bank
        return self.random.choice(
            [bank.account(address("other")), bank.account(address("bob")), fees.ESCROW, b"", b"x"]
        )

    def _stake(self, name: str) -> None:
        node = self.world["a"]
        if name not in self.staked:
            node.must(name, MsgStake(Key.named(name).public, self.random.randint(1000, 2000), address(name)))
            self.staked[name] = False
        elif not self.staked[name]:
            node.must(name, MsgUnstake(address(name)))
            self.staked[name] = True

    def check(self) -> None:
        node = self.world["a"]
        assert node.balance(fees.ESCROW) == node.escrowed()
        assert node.balance(STAKES) == node.staked()
        transfers = escrow_account("transfer", application_client(self.world["c"].identity))
        assert node.balance(transfers) == self.in_flight
        held = sum(node.balance_of(name) for name in NAMES)
        kept = sum(node.balance(account) for account in (fees.ESCROW, STAKES, transfers))
        assert held + kept == FUNDS * len(NAMES)


@settings(max_examples=10)
@given(st.integers(0, 10**6))
def test_no_coin_is_lost_or_made(seed: int) -> None:
    traffic = Traffic(seed)
    for _ in range(STEPS):
        traffic.step()
        traffic.check()
