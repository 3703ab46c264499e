"""Validators on an in-memory network with a virtual clock: minutes of a run in seconds, the same for the same seed.

Begin to read at `Simulation`; `network` transmits messages, `validator` is the primary and the workers of one validator
with their disks, `seals` are cheap signatures for runs without forgeries.
"""

from nodes.dagbft.simulate.network import Clock, Network, five_regions, uniform
from nodes.dagbft.simulate.settings import Settings
from nodes.dagbft.simulate.simulation import Simulation
from nodes.dagbft.simulate.validator import Validator

__all__ = ["Clock", "Network", "Settings", "Simulation", "Validator", "five_regions", "uniform"]
