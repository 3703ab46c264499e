"""One run on several hosts: which host plays which nodes."""
