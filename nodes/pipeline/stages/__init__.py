"""Stages as processes: one model over several nodes, one request at a time, placed anew when the network changes.

A request has segments: blocks, and the codecs of what leaves them. They stay as they are as long as it lasts; an epoch
says which node runs which. So keys and values of a token are the same whoever computed them, and the text, too.

- `segment`: `Segment`, and `assignment_of(texts)`, a plan as configs have it.
- `wire`: what nodes say to each other.
- `core`: `StageCore`, a stage without sockets, clock and arithmetic. `controller`: `Controller`, drives a request.
- `engine`: `Engine`, the arithmetic, at its share of a processor.
- `process`: `Stage`, the program of a node. `prompt`: `Prompt`, that of the node that asks; `account`: its records.
"""
