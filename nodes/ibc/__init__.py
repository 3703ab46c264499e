"""Chains that speak IBC: libraries, chain and relayer."""
