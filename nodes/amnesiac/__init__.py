"""Amnesiac flooding: a message that nobody remembers, and an adversary that delays it in whole rounds (RDAF).

`core` is the rule of one node, `engine` plays and decides whole systems offline, `oracle` knows the answers that need
no simulation, `adversary` and `generators` make schedules of delays, `process` is the node over real sockets.
Sources: Hussak and Trehan 2019 (the rule), arXiv 2502.06001 (faults), arXiv 2604.04260 (delays in rounds). Of the last
only the abstract could be read; what is said about copies that merge and about the constructions is derived.
"""
