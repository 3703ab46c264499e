"""Routes: what the kernel of a node knows, as it changes, for routing daemons that run beside the watcher."""
