"""What lives in a network: one package a protocol."""
