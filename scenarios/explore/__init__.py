"""One agent explores a graph whose links come and go, carried from node to node over TCP."""
