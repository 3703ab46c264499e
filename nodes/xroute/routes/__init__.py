"""Routes between chains: what a relayer or a planner computes. After xRoute; the algorithms are ours.

- `graph`: `Graph(chains, edges)`, `Chain`, `Edge`, `Claims`, `Transit`: facts and claims, apart.
- `pruned`: `Pruned(graph, policy, source, destination)`: the edges that serve, and which clause excludes the others.
- `costs`: what a route costs by the keys that a policy prefers.
- `search`: `best_routes(pruned) -> Answer`; `Answer.choose(message_id) -> Route`.
"""
