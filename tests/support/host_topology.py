"""The topology file of small runs: live hosts, and links between them whose ports have the names of their far ends."""

from __future__ import annotations

_TEXT = """
from mininet.topo import Topo
from pydantic import BaseModel
from emulator.model.network import EndSpec, PiecewiseSchedule

class Config(BaseModel):
    pass

def build(config, options):
    topo = Topo()
    end = EndSpec(schedule=PiecewiseSchedule.constant(DELAY_S, 50e6))
    for name in NAMES:
        topo.addHost(name, role="host", live=True)
    for one, other in LINKS:
        topo.addLink(one, other, intfName1=other, intfName2=one, forward=end, backward=end, carrier=CARRIER)
    return topo
"""


def host_topology(*links: str, delay_s: float = 0.010, carrier: bool = False) -> str:
    """Links such as "ab" between the hosts a and b."""
    values = {"DELAY_S": delay_s, "NAMES": sorted(set("".join(links))), "LINKS": links, "CARRIER": carrier}
    text = _TEXT
    for name, value in values.items():
        text = text.replace(name, repr(value))
    return text
