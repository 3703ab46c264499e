"""Relayers that attack: one forges deliveries, one says two things of one client. Runs show that chains refuse.

- `forgeries`: changes to a proof, each with the check that has to refuse it; `attacker`: a core that plays them all.
- `process`: the programs `Attacker` and `Equivocator`.
"""
