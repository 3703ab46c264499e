"""Plain values that rooms exchange: networks, units, names, verbs, errors and exit codes, the clock, random streams."""
