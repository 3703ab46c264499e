"""A relayer: it carries packets between chains that speak IBC, v1 and v2, and keeps their clients fresh.

- `core`: `Relayer(settings, disk, now_ns)`, without sockets: `tick`, `announce`, `answer`, `take`; `Settings`.
- `calls`: what it asks of chains (`Call`), and what a procedure is (`Flow`); `tasks`: procedures side by side.
- `dialect`: calls as CometBFT's JSON-RPC. `process`: the node program; `chain_driver`: how it drives
  the core by `rpc`, its connections.
- `packets`: the states of a packet (`STEPS`) and its record; `book`: all of them, and what is kept on disk.
- `follow`, `lanes`, `clients`, `signer`, `clearing`, `opening`, `handshake`, `watch`: the procedures.
- `meter`, `metrics`: what is measured, and how it is told.
- `control`: `status`, `pending`, `why PACKET`, `clear PATH`, `recover CLIENT`, asked for by the commands of `ask`.
"""
