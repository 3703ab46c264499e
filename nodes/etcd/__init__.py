"""A client of etcd 3 that measures it: puts at the leader, reads everywhere, a leader that is killed, an audit."""
