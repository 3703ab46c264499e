"""Exploration of changing graphs: one agent, carried from node to node, visits every node while edges come and go."""
