"""State for eyes: live metrics, the schedule as planned, snapshots, replay. No terminal here."""
