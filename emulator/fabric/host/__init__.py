"""A node as a host: its name, its mounts, its files and its bounds, beside the network namespace of the fabric.

    settings ── what a node's host is like        namespaces ── UTS and mount namespace, made once a node
    mounts ── what is seen in them                cgroup ── processor and memory bounds

Invariant: what is made here hangs on descriptors and on mounts of the sandbox, and goes with them; the files of the
machine are covered, never written.
"""
