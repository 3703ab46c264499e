"""Time tables of links and the routes that follow from them: knots, traces, least-delay routes, rows and their planner.

Invariant: everything here is computed ahead of play and read by the packet path, never the other way round.
"""
