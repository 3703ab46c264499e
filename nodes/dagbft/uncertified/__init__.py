"""DAG-BFT without certificates, after Mysticeti (Babel et al., arXiv 2310.14821): a signed block is sent once, and
patterns of later blocks commit or skip a leader.
"""
