"""All that a node program may import: the node, rounds, the description of a protocol, wire formats, histograms."""
