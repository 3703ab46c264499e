"""Mininet at the border: topologies of foreign files come in, `Mininet` objects and the prompt stand over a run."""
