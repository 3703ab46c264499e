"""What a scenario may say: its models, checks between keys, and the reference that is made of them."""
