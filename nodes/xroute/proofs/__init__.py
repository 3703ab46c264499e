"""Proofs that a message came by a certain route, and what a chain concludes from them.

- `messages`: `Envelope`, `Hop`, `RouteProof`, and how messages and routes are called; `parcel`: a packet, opened.
- `verify`: `verify_route(context, proof, demand, names)`; `rejection`: which check refuses; `links`: what a chain holds
  of the next one; `power`: what follows from a validator set; `transit`: which messages a chain lets pass.
- `build`: `Builder`, which asks chains and makes proofs; `paths`: keys.
"""
