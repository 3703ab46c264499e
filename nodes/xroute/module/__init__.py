"""The module `xroute` of a chain: messages go out and come in over several hops, by policies, in four modes.

- `module.Xroute`: the extension that switches it on (beside `nodes.xroute.names.registry.Registry`); `terms.Terms`.
- `messages`: those of transactions; `events`: what relayers read; `errors`: refusals; `book`: what is stored.
- `outgoing`, `incoming`: send, deliver, acknowledge, time out, and mode HOP; `quorum`, `model`: the other two modes.
- `policies`: by which policy a message is judged; `fees`: escrow, windows, payees; `stake`: stakes and slashing.
"""
