"""etcd over five regions: what a quorum costs, a killed leader, a minority that is cut off."""
