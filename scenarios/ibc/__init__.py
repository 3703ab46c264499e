"""Chains that speak IBC over a wide-area network."""
