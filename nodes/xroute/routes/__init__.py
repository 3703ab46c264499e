"""Routes between chains: what a relayer or a planner computes. After xRoute; the algorithms are ours.

- `graph`: `Graph(chains, edges)`, `Chain`, `Edge`, `Claims`, `Transit`: facts and claims, apart.
- `pruned`: `Pruned(graph, policy, source, destination)`: the edges that serve, and which clause excludes the others.
- `costs`: what a route costs by the keys that a policy prefers.
- `search`: `best_routes(pruned) -> Answer`; `Answer.choose(message_id) -> Route`.
- `several`: `next_routes`, `disjoint_routes`. `excluded`: routes that a policy excludes, and by which clause.
- `table`: `Table(graph, policy)`: all pairs at once, kept up to date by `update`. `measures`: what it says of a graph.
- `advice`: which new pairs of clients would lower the largest share.
- `files`: graphs as JSON. `registry`: that of a checkout of the chain registry. `command`: `skyloom route`, `import`.
"""
