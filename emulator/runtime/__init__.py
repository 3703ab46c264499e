"""A run inside its sandbox: the supervisor, programs, actions, control messages, captures."""
