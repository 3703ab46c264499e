"""The primary of a validator: headers, votes, certificates, and the execution of commits.

Begin to read at `core.PrimaryCore`. Its parts: `config`, `effects` (its outputs), `records` (tables on disk), `payload`
(batches), `suspended` and `requests` (items that lack something, and requests for it), `voting` (headers of others),
`proposer` and `ballot` (own headers), `pace` (when the next header is due), `blocks` (certificates), `delivery` (events
that can be executed), `catchup` (recovery of a late validator), `answers` (requests of others). `process` owns sockets,
timers and the store.
"""
