"""Amnesiac flooding with delays over real sockets: predicted offline first, then observed. A canary for timing."""
