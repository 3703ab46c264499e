"""Execution: transactions, the key-value state, locks of transactions over several shards, and the ledger."""
