"""IBC on a chain: clients' counterparties, connections, channels, packets of v1 and v2, ICS-20 transfers, forwarding.

Pure: state lies in stores that are passed in, as are height and time; proofs are verified by a `ClientKeeper`.

A chain makes one router, and for each block a context; then it delivers messages:

    router = Router(clients, bank, authority="cosmos1…")
    context = Context(chain_id, Height(revision(chain_id), height), time_ns, stores)
    outcome = router.deliver(context, message)     # outcome.response: Message, outcome.events: tuple[Event, ...]

- `router.Router`: `deliver(context, message) -> Outcome`, `handles(message) -> bool`; a message that is refused raises
  `errors.AbciError` (`codespace`, `code`, `message`; as ibc-go's), and nothing else, and changes nothing.
  `outcome.response` is the Msg…Response; a redundant relay is a success whose response says NOOP, and
  `router.all_redundant` tells a mempool of a transaction that has nothing else. `rehearsal.rehearsing` makes the
  router with which it finds out: no application is told.
- `state`: `Store` (get, set, delete, iterate by prefix), `Context` (`branch()` and `commit()`; `Branch` is a store over
  a store). `stores` needs the names `ibc`, `transfer`, `packetfowardmiddleware`, and those that clients and bank use.
- `keepers`: protocols of `ClientKeeper` and `Bank`, which the chain provides, and of `Application` (v1 channels) and
  `PayloadApplication` (v2), of which it may add some.
- `events.Event`: `type`, `attributes` (pairs in order).
- `tables`: state machines of connections, channels, packets and forwarded packets.
- `paths`, `commitments`, `denominations`, `identifiers`: keys, hashes and names, for queries and relayers, too.
- `transfer.escrow_account(port, channel)`, `transfer.total_escrow(store, denom)`, `forward.held_packets(store)`,
  `denominations.recall(store, denom)`, `denominations.known(store)`: for queries.
"""
