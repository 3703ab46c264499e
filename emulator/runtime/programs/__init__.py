"""Programs of nodes: what is to run, the zygote that forks it, the process around each, commands of users."""
