"""A language model in parts on satellites of a moving shell: plans of several policies, asked for the same text."""
