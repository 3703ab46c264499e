"""A relayer of messages over several chains: it finds routes, updates clients along them, proves, and delivers.

- `core`: `Relayer(settings, now_ns)`, without sockets: `tick`, `announce`, `answer`, `take`; `Settings`.
- `jobs`: what is to be done for each message, as the chains' events say; `events`: these events, read.
- `network`: the chains and the clients between them, asked of the chains; `opening`: makes what is missing.
- `ballots`: signatures of mode QUORUM; `stakes`: what relayers have at stake, as blocks say.
- `names`: what the names in policies stand for, proved to the chains that judge routes.
- `choice`: which route a message takes; `rounds`: messages of one route, brought together.

Followers of chains, accounts, clients and procedures are those of `nodes.ibc.relayer`.
"""
