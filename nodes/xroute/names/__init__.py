"""Names of chains and applications, with proofs: after DNS, on registries that are chains.

- `labels`: what a name is, and its key in a registry's store; `record`: what a registry says of a name.
- `registry`: `Registry`, the module `xname` of a chain (`nodes.ibc.chain.genesis.Extension`); `messages`: its messages.
- `binding`: which chain a light client tracks, by the anchor of a chain's identity.
- `evidence`: `NameProof`, and what it proves by a light client of the registry.
- `cache`: what was proved, for as long as it may be used; `resolver`: names to records, over several registries.
- `verifier`: `RegistryNames`, which believes names in the proofs of routes; `ResolvedName` is one such proof.
- `procedures`: what is done on registries: records are registered, and proofs of names collected.
- `registrar`: `Registrar`, who has names of chains, and `process`, the node program of it.
"""
