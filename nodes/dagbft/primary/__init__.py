"""The primary of a validator: headers, votes and certificates, and what consensus makes of them.

`core.PrimaryCore` is the door. Below it: `config`, `effects` (what comes out), `records` (what is kept on disk),
`payload` (batches), `waiting` and `requests` (what lacks something, and asking for it), `voting` (headers of others),
`proposer` and `ballot` (own headers), `pace` (when the next one is due), `blocks` (certificates), `delivery` (what can
be executed), `catchup` (how a late validator comes back), `answers` (what others ask of this one). `process` owns
sockets, timers and the store.
"""
