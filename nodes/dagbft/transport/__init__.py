"""Transport: messages between processes over TCP, delivered once and in order while both live, across lost connections.

`Mesh` joins the validators (TLS 1.3, both sides known by their keys), `Local` the processes of one validator.
"""
