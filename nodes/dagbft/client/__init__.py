"""Clients: open-loop load and chains of dependent transactions that run on speculative results."""
