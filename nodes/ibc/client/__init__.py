"""Light clients on a chain: what one chain knows of another one, as ibc-go's 02-client and 07-tendermint keep it.

- `states.ClientStates`: the stored states of one client, over a store of bytes with the keys of ICS-24.
- `tendermint`: create, update (headers and misbehaviour), status, recover, verify_membership and
  verify_non_membership; `ClientError` is the one error, with a `kind`.
- `upgrade`: following a chain through an upgrade.
- `keeper.Clients`: the clients of a chain by name, as `nodes/ibc/core` wants them.
"""
