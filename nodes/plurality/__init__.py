"""Plurality consensus: DéjàVu and its rivals as agents that ask each other over UDP, many or one in a process."""
