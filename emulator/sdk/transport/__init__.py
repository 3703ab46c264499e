"""Transport: messages between processes over TCP, delivered once and in order while both live, across lost connections.

`mesh` joins members that know each other by their keys (TLS 1.3), `links` nodes that know each other by their addresses
(in clear), `local` the processes of one node, `inside` programs that share a process. A protocol gives a codec, the
identities of its members, and limits. This package imports nothing: each module loads only what it needs.
"""
