"""Plain values that rooms exchange: networks, units, tables, names, errors and exit codes, the clock, draws."""
