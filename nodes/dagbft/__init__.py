"""DAG-BFT validators: a certified DAG ordered by Bullshark, with early finality after Lemonshark."""
