"""What may be done to a run while it plays: the verbs, and the state that they override."""
