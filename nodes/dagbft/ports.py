"""TCP ports of a validator's processes, all on its node's own address."""

PRIMARY_PORT = 7000  # primaries of other validators
PRIMARY_LOCAL_PORT = 7001  # own workers and clients
WORKER_PORT = 7100  # workers of the same number of other validators; plus the worker's number
WORKER_LOCAL_PORT = 7200  # own clients; plus the worker's number
CLIENT_PORT = 7300  # clients of any node, for signed results and reads
