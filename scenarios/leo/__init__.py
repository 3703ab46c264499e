"""A satellite shell end to end."""
