"""Messages between chains over several hops, by policy, without a hub: after xRoute, on the chains of `nodes.ibc`."""
