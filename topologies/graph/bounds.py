"""How large a graph may be: above this the tables of routes alone take minutes."""

MAX_NODES = 5_000
MAX_EDGES = 100_000
