"""A worker of a validator: it accepts transactions, seals them into batches, and distributes these.

Begin to read at `core.WorkerCore`; `process` owns sockets, timers and the store.
"""
