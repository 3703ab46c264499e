"""What people see: the live screen and the end-of-run summary. Reads snapshots and run folders, never live objects."""
