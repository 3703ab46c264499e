"""Messages between chains over several hops, by policies, without a hub or through one."""
