"""What relayers tell each other of chains and clients: signed advertisements, flooded as link states are (after OSPF).

- `ads`: `EdgeAd`, `ChainAd`; `Advertisement`, one that is well formed and signed.
- `equivocation`: two advertisements that no honest relayer signs both, as evidence; `verify_equivocation`.
- `database`: the newest of each origin and subject; `flood`: how neighbours keep theirs alike, by messages of `wire`.
- `facts`: what an advertisement proves; `claims`: what advertisements say, weighed by stake.
- `exchange`: between all this and the graph of `nodes.xroute.routes`; `convergence`: how fast news gets around.
- `process`: `Flooder`, the core over TCP.
"""
