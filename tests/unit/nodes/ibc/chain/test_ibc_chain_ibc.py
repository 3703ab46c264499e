"""Two chains, and a relayer of a page: clients, connection, channel and transfers with real headers and proofs."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TypeVar

import pytest
from ibc_chain import FUNDS, GENESIS_NS, SECOND_NS, Ticking, address

from nodes.ibc.chain.genesis import Settings, chain_of, funded, queries_of
from nodes.ibc.chain.queries import Queries
from nodes.ibc.chain.results import TxResult
from nodes.ibc.core import paths
from nodes.ibc.core.transfer import escrow_account
from nodes.ibc.proto import channel, connection, ibc, ics23, queries, transfer
from nodes.ibc.proto.comet import SignedHeader, ValidatorSet
from nodes.ibc.proto.cosmos import QueryBalanceRequest, QueryBalanceResponse, TxMsgData
from nodes.ibc.proto.cosmos_base import Coin
from nodes.ibc.proto.ibc import Fraction, Height, MerklePrefix, MerkleRoot
from nodes.ibc.proto.well_known import Any, Duration, Timestamp
from nodes.ibc.proto.wire import Message

M = TypeVar("M", bound=Message)
DAY_NS = 86_400 * SECOND_NS
SIGNER = address("alice")


@dataclass
class Side:
    """A chain, seen by a relayer that signs as alice."""

    chain_id: str
    store: str = "iavl"
    ticking: Ticking = field(init=False)
    queries: Queries = field(init=False)

    def __post_init__(self) -> None:
        made = Settings(self.chain_id, balances=funded(("alice", "bob"), "cosmos", {"stake": FUNDS}), store=self.store)
        self.ticking = Ticking(chain_of(made, GENESIS_NS))
        self.queries = queries_of(self.ticking.chain, "stake")
        self.ticking.block()

    def send(self, *messages: Message) -> TxResult:
        """Put messages into the next block."""
        data = self.ticking.tx("alice", *messages, chain_id=self.chain_id, gas=10_000_000)
        checked = self.ticking.chain.submit(data)
        assert checked.code == 0, checked.log
        (result,) = self.ticking.block().results
        return result

    def do(self, response: type[M], *messages: Message) -> M:
        """The answer to the last of some messages that must succeed."""
        result = self.send(*messages)
        assert result.code == 0, result.log
        return TxMsgData.decode(result.data).msg_responses[-1].opened_as(response)

    def ask(self, path: str, request: Message, response: type[M]) -> M:
        answer = self.queries.answer(path, request.encode(), 0, False)
        assert answer.code == 0, answer.log
        return response.decode(answer.value)

    def balance(self, holder: str, denom: str) -> int:
        path = "/cosmos.bank.v1beta1.Query/Balance"
        found = self.ask(path, QueryBalanceRequest(address(holder), denom), QueryBalanceResponse).balance
        assert found is not None
        return int(found.amount)

    def height(self) -> Height:
        return Height(self.ticking.chain.app.revision, self.ticking.chain.height)

    def proof(self, key: bytes) -> tuple[bytes, Height]:
        """The proof of a key at the last block but one, and the height whose header it verifies against."""
        answer = self.queries.answer("/store/ibc/key", key, self.ticking.chain.height - 1, True)
        assert answer.code == 0, answer.log
        proofs = tuple(ics23.CommitmentProof.decode(op.data) for op in answer.proof)
        return ibc.MerkleProof(proofs).encode(), self.height()

    def client_of(self) -> tuple[ibc.ClientState, ibc.ConsensusState]:
        """What another chain begins to know of this one."""
        entry = self.ticking.chain.ledger[self.ticking.chain.height]
        specs = self.ticking.chain.state.specs_of("ibc")
        state = ibc.ClientState(
            chain_id=self.chain_id, trust_level=Fraction(1, 3), trusting_period=Duration.of_ns(14 * DAY_NS),
            unbonding_period=Duration.of_ns(21 * DAY_NS), max_clock_drift=Duration.of_ns(40 * SECOND_NS),
            latest_height=self.height(), proof_specs=specs, upgrade_path=("upgrade", "upgradedIBCState"),
        )  # fmt: skip
        header = entry.block.header
        return state, ibc.ConsensusState(
            Timestamp.of_ns(header.time.ns), MerkleRoot(header.app_hash), header.next_validators_hash
        )

    def update(self, client: str, trusted: Height) -> ibc.MsgUpdateClient:
        """The message that tells another chain of this one's last block."""
        chain = self.ticking.chain
        entry = chain.ledger[chain.height]
        header = ibc.Header(
            SignedHeader(entry.block.header, entry.commit), chain.committee.at(chain.height), trusted,
            chain.committee.at(trusted.revision_height + 1),
        )  # fmt: skip
        assert isinstance(header.validator_set, ValidatorSet)
        return ibc.MsgUpdateClient(client, Any.of(header), SIGNER)


@dataclass
class Pair:
    """Two chains that are joined by a channel."""

    a: Side
    b: Side

    def __post_init__(self) -> None:
        for here, there in ((self.a, self.b), (self.b, self.a)):
            state, consensus = there.client_of()
            made = here.do(ibc.MsgCreateClientResponse, ibc.MsgCreateClient(Any.of(state), Any.of(consensus), SIGNER))
            assert made.client_id == "07-tendermint-0"

    def told(self, of: Side) -> ibc.MsgUpdateClient:
        """What the other side must hear before a proof of `of`: two blocks are made, so that the state is committed."""
        other = self.b if of is self.a else self.a
        path = "/ibc.core.client.v1.Query/ConsensusStateHeights"
        request = queries.QueryConsensusStateHeightsRequest("07-tendermint-0")
        heights = other.ask(path, request, queries.QueryConsensusStateHeightsResponse).consensus_state_heights
        of.ticking.block()
        return of.update("07-tendermint-0", heights[-1])

    def open(self) -> None:
        """Connection and channel, each by four messages."""
        a, b = self.a, self.b
        name, prefix = "connection-0", MerklePrefix(b"ibc")
        version = connection.Version("1", ("ORDER_ORDERED", "ORDER_UNORDERED"))
        a.do(
            connection.MsgConnectionOpenInitResponse,
            connection.MsgConnectionOpenInit(
                client_id="07-tendermint-0",
                counterparty=connection.Counterparty("07-tendermint-0", "", prefix),
                signer=SIGNER,
            ),
        )
        update = self.told(a)
        proof, height = a.proof(paths.connection(name))
        b.do(
            connection.MsgConnectionOpenTryResponse,
            update,
            connection.MsgConnectionOpenTry(
                client_id="07-tendermint-0",
                counterparty=connection.Counterparty("07-tendermint-0", name, prefix),
                counterparty_versions=(version,),
                proof_init=proof,
                proof_height=height,
                signer=SIGNER,
            ),
        )
        update = self.told(b)
        proof, height = b.proof(paths.connection(name))
        a.do(
            connection.MsgConnectionOpenAckResponse,
            update,
            connection.MsgConnectionOpenAck(
                connection_id=name,
                counterparty_connection_id=name,
                version=version,
                proof_try=proof,
                proof_height=height,
                signer=SIGNER,
            ),
        )
        update = self.told(a)
        proof, height = a.proof(paths.connection(name))
        b.do(
            connection.MsgConnectionOpenConfirmResponse,
            update,
            connection.MsgConnectionOpenConfirm(
                connection_id=name, proof_ack=proof, proof_height=height, signer=SIGNER
            ),
        )
        end = channel.Channel(
            channel.State.INIT, channel.Order.UNORDERED, channel.Counterparty("transfer", ""), (name,), "ics20-1"
        )
        made = a.do(channel.MsgChannelOpenInitResponse, channel.MsgChannelOpenInit("transfer", end, SIGNER))
        key = paths.channel_end("transfer", made.channel_id)
        update = self.told(a)
        proof, height = a.proof(key)
        there = channel.Channel(
            channel.State.TRYOPEN,
            channel.Order.UNORDERED,
            channel.Counterparty("transfer", made.channel_id),
            (name,),
            "ics20-1",
        )
        b.do(
            channel.MsgChannelOpenTryResponse,
            update,
            channel.MsgChannelOpenTry(
                port_id="transfer",
                channel=there,
                counterparty_version="ics20-1",
                proof_init=proof,
                proof_height=height,
                signer=SIGNER,
            ),
        )
        update = self.told(b)
        proof, height = b.proof(key)
        a.do(
            channel.MsgChannelOpenAckResponse,
            update,
            channel.MsgChannelOpenAck("transfer", "channel-0", "channel-0", "ics20-1", proof, height, SIGNER),
        )
        update = self.told(a)
        proof, height = a.proof(key)
        b.do(
            channel.MsgChannelOpenConfirmResponse,
            update,
            channel.MsgChannelOpenConfirm("transfer", "channel-0", proof, height, SIGNER),
        )

    def relayed(self, here: Side, amount: int, denom: str) -> channel.Packet:
        """A transfer, and its packet received on the other side."""
        there = self.b if here is self.a else self.a
        result = here.send(
            transfer.MsgTransfer(
                "transfer", "channel-0", Coin(denom, str(amount)), SIGNER, address("bob"), Height(), GENESIS_NS + DAY_NS
            )
        )
        assert result.code == 0, result.log
        (sent,) = (dict(event.attributes) for event in result.events if event.type == "send_packet")
        packet = channel.Packet(
            int(sent["packet_sequence"]),
            "transfer",
            "channel-0",
            "transfer",
            "channel-0",
            bytes.fromhex(sent["packet_data_hex"]),
            Height(),
            int(sent["packet_timeout_timestamp"]),
        )
        update = self.told(here)
        proof, height = here.proof(paths.packet_commitment("transfer", "channel-0", packet.sequence))
        received = there.do(channel.MsgRecvPacketResponse, update, channel.MsgRecvPacket(packet, proof, height, SIGNER))
        assert received.result is channel.ResponseResultType.SUCCESS
        return packet

    def acknowledged(self, here: Side, packet: channel.Packet) -> None:
        there = self.b if here is self.a else self.a
        update = self.told(there)
        proof, height = there.proof(paths.packet_acknowledgement("transfer", "channel-0", packet.sequence))
        message = channel.MsgAcknowledgement(packet, b'{"result":"AQ=="}', proof, height, SIGNER)
        here.do(channel.MsgAcknowledgementResponse, update, message)


@pytest.fixture(params=["iavl", "simple"])
def pair(request: pytest.FixtureRequest) -> Pair:
    made = Pair(Side("a-1", request.param), Side("b-1"))
    made.open()
    return made


def test_tokens_go_there_and_back(pair: Pair) -> None:
    a, b = pair.a, pair.b
    path = "/ibc.core.channel.v1.Query/PacketCommitments"
    request = queries.QueryPacketCommitmentsRequest("transfer", "channel-0")
    packet = pair.relayed(a, 1000, "stake")
    assert len(a.ask(path, request, queries.QueryPacketCommitmentsResponse).commitments) == 1
    pair.acknowledged(a, packet)
    assert a.ask(path, request, queries.QueryPacketCommitmentsResponse).commitments == ()
    bank = a.ticking.chain.app.bank
    context = a.ticking.chain.app.context(a.ticking.chain.state.stores, a.ticking.chain.moment)
    assert bank.balance(context, escrow_account("transfer", "channel-0"), "stake") == 1000
    voucher = next(iter(_vouchers(b, "bob")))
    assert b.balance("bob", voucher) == 1000
    trace = transfer.QueryDenomTraceRequest(voucher.removeprefix("ibc/"))
    known = b.ask("/ibc.applications.transfer.v1.Query/DenomTrace", trace, transfer.QueryDenomTraceResponse)
    assert known.denom_trace == transfer.DenomTrace("transfer/channel-0", "stake")
    unreceived = queries.QueryUnreceivedPacketsRequest("transfer", "channel-0", (1, 2, 3))
    missing = b.ask("/ibc.core.channel.v1.Query/UnreceivedPackets", unreceived, queries.QueryUnreceivedPacketsResponse)
    assert missing.sequences == (2, 3)


def _vouchers(side: Side, holder: str) -> dict[str, int]:
    bank = side.ticking.chain.app.bank
    context = side.ticking.chain.app.context(side.ticking.chain.state.stores, side.ticking.chain.moment)
    found = bank.balances(context, bank.account(address(holder)))
    return {denom: amount for denom, amount in found.items() if denom.startswith("ibc/")}


def test_the_slower_relayer_pays_nothing(pair: Pair) -> None:
    """A packet that was received is refused by the mempool; in a block it would be a success that changes nothing."""
    packet = pair.relayed(pair.a, 1000, "stake")
    update = pair.told(pair.a)
    proof, height = pair.a.proof(paths.packet_commitment("transfer", "channel-0", packet.sequence))
    again = channel.MsgRecvPacket(packet, proof, height, SIGNER)
    chain = pair.b.ticking.chain
    data = pair.b.ticking.tx("alice", update, again, chain_id="b-1", gas=10_000_000)
    checked = chain.submit(data)
    assert (checked.codespace, checked.code) == ("channel", 22)
    assert len(chain.mempool) == 0
    chain.mempool.add(data, 0)  # what a proposer that does not check would do
    (result,) = pair.b.ticking.block().results
    assert result.code == 0
    answer = TxMsgData.decode(result.data).msg_responses[-1].opened_as(channel.MsgRecvPacketResponse)
    assert answer.result is channel.ResponseResultType.NOOP
    assert _vouchers(pair.b, "bob") == {next(iter(_vouchers(pair.b, "bob"))): 1000}


def two_relayers(pair: Pair) -> tuple[bytes, bytes]:
    """Transactions of two relayers that relay the same packet to b."""
    sent = pair.a.send(transfer.MsgTransfer(
        "transfer", "channel-0", Coin("stake", "5"), SIGNER, address("bob"), Height(),
        GENESIS_NS + DAY_NS))  # fmt: skip
    told = next(dict(event.attributes) for event in sent.events
                if event.type == "send_packet")  # fmt: skip
    packet = channel.Packet(1, "transfer", "channel-0", "transfer", "channel-0", bytes.fromhex(told["packet_data_hex"]),
                            Height(), int(told["packet_timeout_timestamp"]))  # fmt: skip
    update = pair.told(pair.a)
    proof, height = pair.a.proof(paths.packet_commitment("transfer", "channel-0", 1))
    message = channel.MsgRecvPacket(packet, proof, height, SIGNER)
    relayed = {name: [replace(each, signer=address(name)) for each in (update, message)] for name in ("alice", "bob")}
    one, other = (pair.b.ticking.tx(name, *each, chain_id="b-1", gas=10_000_000) for name, each in relayed.items())
    return one, other


def test_of_two_relayers_one_pays_also_while_its_transaction_waits(pair: Pair) -> None:
    one, other = two_relayers(pair)
    chain = pair.b.ticking.chain
    assert chain.submit(one).code == 0
    refused = chain.submit(other)
    assert (refused.codespace, refused.code) == ("channel", 22)
    again = chain.submit(other)
    assert (again.codespace, again.code) == ("channel", 22)  # its sequence is not used up
    assert list(pair.b.ticking.block().block.txs) == [one]


def test_a_transaction_that_a_block_made_redundant_leaves_the_mempool(pair: Pair) -> None:
    chain = pair.b.ticking.chain
    for data in two_relayers(pair):
        chain.mempool.add(data, 10_000_000)  # what a node that does not check would do
    first, _ = chain.mempool
    chain.limits = replace(chain.limits, block_gas=10_000_000)
    assert list(pair.b.ticking.block().block.txs) == [first]
    assert len(chain.mempool) == 0


def test_a_forged_packet_is_refused_and_costs_its_fee_alone(pair: Pair) -> None:
    packet = pair.relayed(pair.a, 1000, "stake")
    forged = channel.Packet(
        7,
        *(
            getattr(packet, name)
            for name in (
                "source_port",
                "source_channel",
                "destination_port",
                "destination_channel",
                "data",
                "timeout_height",
                "timeout_timestamp",
            )
        ),
    )
    update = pair.told(pair.a)
    proof, height = pair.a.proof(paths.packet_commitment("transfer", "channel-0", packet.sequence))
    before = pair.b.ticking.chain.state.stores["bank"]
    held = dict(before.iterate(b""))
    result = pair.b.send(update, channel.MsgRecvPacket(forged, proof, height, SIGNER))
    assert result.code != 0
    assert "message index: 1" in result.log
    assert dict(before.iterate(b"")) == held


def test_two_headers_of_one_height_freeze_the_client(pair: Pair) -> None:
    a, b = pair.a, pair.b
    update = pair.told(a)
    b.do(ibc.MsgUpdateClientResponse, update)
    entry = a.ticking.chain.ledger[a.ticking.chain.height]
    other = a.ticking.chain.fork(entry)
    assert update.client_message is not None
    header = update.client_message.opened_as(ibc.Header)
    forged = ibc.Header(
        SignedHeader(other.block.header, other.commit),
        header.validator_set,
        header.trusted_height,
        header.trusted_validators,
    )
    b.do(ibc.MsgUpdateClientResponse, ibc.MsgUpdateClient("07-tendermint-0", Any.of(forged), SIGNER))
    status = queries.QueryClientStatusRequest("07-tendermint-0")
    asked = b.ask("/ibc.core.client.v1.Query/ClientStatus", status, queries.QueryClientStatusResponse)
    assert asked.status == "Frozen"


def test_all_questions_have_answers(pair: Pair) -> None:
    """Every path answers an empty request with an answer or an error of codes, and with proofs of nothing."""
    a = pair.a
    client = queries.QueryClientStateRequest("07-tendermint-0")
    state = a.ask("/ibc.core.client.v1.Query/ClientState", client, queries.QueryClientStateResponse).client_state
    assert state is not None
    assert state.opened_as(ibc.ClientState).chain_id == "b-1"
    asked = a.ask(
        "/ibc.core.client.v1.Query/ClientStates", queries.QueryClientStatesRequest(), queries.QueryClientStatesResponse
    )
    assert [each.client_id for each in asked.client_states] == ["07-tendermint-0"]
    ends = a.ask(
        "/ibc.core.connection.v1.Query/Connections", queries.QueryConnectionsRequest(), queries.QueryConnectionsResponse
    ).connections
    assert [(end.id, end.state) for end in ends] == [("connection-0", connection.State.OPEN)]
    channels = a.ask(
        "/ibc.core.channel.v1.Query/Channels", queries.QueryChannelsRequest(), queries.QueryChannelsResponse
    ).channels
    assert [(end.port_id, end.channel_id, end.state) for end in channels] == [
        ("transfer", "channel-0", channel.State.OPEN)
    ]
    for path in a.queries.paths:
        answer = a.queries.answer(path, b"", 0, False)
        assert answer.code == 0 or answer.log, path
    log = a.queries.answer("/ibc.core.channel.v1.Query/Channel", b"", 0, False).log
    assert log.startswith("rpc error: code = NotFound")
