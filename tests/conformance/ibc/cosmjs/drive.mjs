// What an application does with CosmJS on a Cosmos chain. Prints one line of JSON: what it saw.
import { createHash } from "crypto";
import { createRequire } from "module";

const [url, folder] = process.argv.slice(2);
const load = createRequire(`${folder}/package.json`);
const { DirectSecp256k1Wallet } = load("@cosmjs/proto-signing");
const { GasPrice, QueryClient, SigningStargateClient, coins } = load("@cosmjs/stargate");
const { Comet38Client, WebsocketClient, connectComet } = load("@cosmjs/tendermint-rpc");
const { fromBech32 } = load("@cosmjs/encoding");
const { TxRaw } = load("cosmjs-types/cosmos/tx/v1beta1/tx");

const secret = (name) => createHash("sha256").update(name).digest();
const wallet = await DirectSecp256k1Wallet.fromKey(secret("alice"));
const [{ address: alice }] = await wallet.getAccounts();
const [{ address: bob }] = await (await DirectSecp256k1Wallet.fromKey(secret("bob"))).getAccounts();
const options = { gasPrice: GasPrice.fromString("0.01stake"), broadcastPollIntervalMs: 100 };
const client = await SigningStargateClient.connectWithSigner(url, wallet, options);
const comet = await connectComet(url);
const send = (amount) => ({
  typeUrl: "/cosmos.bank.v1beta1.MsgSend",
  value: { fromAddress: alice, toAddress: bob, amount: coins(amount, "stake") },
});
const fee = { amount: [], gas: "100000" };
const seen = { alice, bob };

// Connect, balances, sequence.
seen.chainId = await client.getChainId();
seen.dialect = client.getCometClient().constructor.name;
seen.before = await client.getBalance(bob, "stake");
seen.all = await client.getAllBalances(bob);
seen.sequence = await client.getSequence(alice);
seen.nobody = await client.getAccount("cosmos1x54ltnyg88k0ejmk8ytwrhd3ltm84xehrnlslf");

// Send tokens, with gas that a simulation tells; find the transaction.
const sent = await client.sendTokens(alice, bob, coins(1234, "stake"), "auto", "a memo");
seen.sent = { code: sent.code, log: sent.rawLog, height: sent.height, response: sent.msgResponses[0].typeUrl };
seen.after = await client.getBalance(bob, "stake");
const found = await client.searchTx([{ key: "transfer.recipient", value: bob }]);
seen.found = found.map((tx) => tx.hash === sent.transactionHash);
seen.inBlock = (await client.getBlock(sent.height)).txs.length;
seen.proof = (await comet.tx({ hash: Buffer.from(sent.transactionHash, "hex"), prove: true })).proof.proof.total;

// What is refused, in a block and before it.
const failed = await client.sendTokens(alice, bob, coins("99999999999999999", "stake"), fee);
seen.failed = [failed.code, failed.rawLog];
seen.refused = await client.sendTokens(alice, bob, coins(1, "stake"), { ...fee, gas: "100" }).catch((error) => error.message);

// Subscribe to blocks and to transactions.
const events = await Comet38Client.create(new WebsocketClient(url.replace("http", "ws")));
const first = (stream, count) => new Promise((resolve, reject) => {
  const got = [];
  const subscription = stream.subscribe({
    next: (event) => { if (got.push(event) === count) { subscription.unsubscribe(); resolve(got); } },
    error: reject,
  });
});
const blocks = first(events.subscribeNewBlock(), 3);
const transactions = first(events.subscribeTx(`transfer.recipient='${bob}'`), 1);
await events.status(); // the answer comes after those to the subscriptions
await client.signAndBroadcastSync(alice, [send(7)], fee);
seen.blocks = (await blocks).map((block) => [block.header.height, block.lastCommit.signatures.length]);
seen.event = (await transactions)[0].result.code;

// Proofs of IAVL and multistore against the header, by @confio/ics23: of a balance, and of none.
const query = new QueryClient(comet);
const key = (denom) => new Uint8Array([2, 20, ...fromBech32(bob).data, ...Buffer.from(denom)]);
seen.proved = Buffer.from((await query.queryStoreVerified("bank", key("stake"))).value).toString();
seen.provedAbsent = (await query.queryStoreVerified("bank", key("nothing"))).value.length;

// The rest of the RPC.
const committed = await comet.broadcastTxCommit({ tx: TxRaw.encode(await client.sign(alice, [send(9)], fee, "")).finish() });
seen.committed = committed.height > sent.height && committed.txResult.code;
seen.validators = (await comet.validatorsAll(2)).validators.length;
seen.results = (await comet.blockResults(sent.height)).results.length;
seen.canonical = (await comet.commit(2)).canonical;
seen.blockSearch = (await comet.blockSearchAll({ query: "block.height >= 2 AND block.height <= 3" })).blocks.length;
seen.blockchain = (await comet.blockchain(1, 3)).blockMetas.length;
seen.genesis = (await comet.genesis()).chainId;
seen.info = (await comet.abciInfo()).data;
seen.health = await comet.health();
seen.waiting = (await comet.numUnconfirmedTxs()).total;
console.log(JSON.stringify(seen));
events.disconnect();
process.exit(0); // the socket of CosmJS 0.32 connects again after disconnect()
