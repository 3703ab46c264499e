"""A worker of a validator: takes transactions, seals them into batches, and sees to it that others hold them.

`core.WorkerCore` is the door; `process` owns sockets, timers and the store.
"""
