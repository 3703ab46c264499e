"""Amnesiac flooding: flooding without memory, and an adversary that delays messages by whole rounds (RDAF).

`core` is the rule of one node, `engine` simulates and decides whole systems offline, `oracle` has the answers that need
no simulation, `adversary` and `generators` make schedules of delays, `process` is the node over real sockets. Sources:
Hussak and Trehan 2019 (the rule), arXiv 2502.06001 (faults), arXiv 2604.04260 (delays in rounds). Of the last only the
abstract was available; statements about merging copies and the constructions are derived here.
"""
