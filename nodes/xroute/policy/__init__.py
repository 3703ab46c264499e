"""What a route must satisfy: the policy language of senders and receivers. After xRoute; the language is ours.

- `attributes`: `HopAttributes`, `RouteAttributes`: what is proved of a route.
- `parser`: `parse(text) -> Policy`, `read(canonical bytes) -> Policy`; both raise `terms.PolicyError` and nothing else.
- `clauses`: `Policy` (`encode()`, `policy_id`, `clauses`, `disjoint`, `limit(kind)`), a message of protobuf.
- `text`: `show(policy)` in the language, `show_clause`, `explain(policy)` in sentences.
- `evaluation`: `first_failing(policy, route) -> index of a clause or None`.
- `conjunction`: `strictest(policy, minimum)`: a sender's policy and a receiver's minimum as one.
- `power`: `nakamoto(powers)`, `top1_share_ppm(powers)`.
"""
