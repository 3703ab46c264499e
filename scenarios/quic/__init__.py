"""QUIC: aioquic as it comes from PyPI, beside TCP, through the handovers of a Starlink-like link."""
