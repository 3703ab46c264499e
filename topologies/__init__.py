"""Descriptions of networks, built without root: each module has `Config` and `build(config, options)`."""
