"""All that a node program may import: the node and its sockets, rounds, wire formats, links, stores, panels.

docs/sdk.md lists every name, and how stable it is.
"""
