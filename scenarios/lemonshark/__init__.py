"""DAG-BFT validators with early finality, over wide-area links or a satellite constellation."""
