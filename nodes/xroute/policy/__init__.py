"""What a route must satisfy: the policy language of senders and receivers (after xRoute; the language is ours)."""
