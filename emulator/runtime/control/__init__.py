"""Messages between the processes of a run, and with the terminal that launched it."""
