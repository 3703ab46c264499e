// @confio/relayer joins two chains by clients, a connection and a channel, and relays a packet there and one back.
// Prints one line of JSON: what it saw.
const { createHash } = require("crypto");
const { createRequire } = require("module");

const [folder, urlA, urlB] = process.argv.slice(2);
const load = createRequire(`${folder}/package.json`);
const { DirectSecp256k1Wallet } = load("@cosmjs/proto-signing");
const { GasPrice } = load("@cosmjs/stargate");
const { IbcClient, Link } = load("@confio/relayer");
const { Order } = load("cosmjs-types/ibc/core/channel/v1/channel");

const counts = ({ packetsFromA, packetsFromB, acksFromA, acksFromB }) =>
  [packetsFromA, packetsFromB, acksFromA.length, acksFromB.length];

async function main() {
  const wallet = await DirectSecp256k1Wallet.fromKey(createHash("sha256").update("relayer").digest());
  const [{ address }] = await wallet.getAccounts();
  const options = {
    gasPrice: GasPrice.fromString("0.0stake"), estimatedBlockTime: 400, estimatedIndexerTime: 20, broadcastPollIntervalMs: 100,
  };
  const a = await IbcClient.connectWithSigner(urlA, wallet, address, options);
  const b = await IbcClient.connectWithSigner(urlB, wallet, address, options);
  const link = await Link.createWithNewConnections(a, b);
  const { src, dest } = await link.createChannel("A", "transfer", "transfer", Order.ORDER_UNORDERED, "ics20-1");
  const ends = [link.endA, link.endB].map((end) => [end.clientID, end.connectionID]);
  const send = async (from, to, channel, denom, amount) => {
    await from.transferTokens("transfer", channel, { denom, amount }, address, await to.timeoutHeight(1000));
    await from.waitOneBlock();
    return counts(await link.relayAll());
  };
  const there = await send(a, b, src.channelId, "stake", "777");
  const voucher = (await b.sign.getAllBalances(address)).find(({ denom }) => denom.startsWith("ibc/"));
  const back = await send(b, a, dest.channelId, voucher.denom, "77");
  const left = await b.sign.getBalance(address, voucher.denom);
  const home = await a.sign.getBalance(address, "stake");
  console.log(JSON.stringify({ ends, channels: [src, dest], there, voucher, back, left, home }));
}

main().then(() => process.exit(0), (error) => { console.error(error); process.exit(1); });
