"""Proofs of what a chain's state holds: ICS-23 verification, and trees that give such proofs.

- `verify`: `verify_membership(proofs, specs, root, path, value)` and `verify_non_membership(proofs, specs, root, path)`
  for a chain of trees; `verify_existence`, `verify_non_existence` for one. All raise `ops.ProofError`.
- `specs`: `IAVL_SPEC`, `TENDERMINT_SPEC`, `SMT_SPEC`; `rules_of` refuses specs under which a proof means nothing.
- `store`: `ProvableStore(form, kept)`: get, set, delete, iterate, commit, rollback; of a version root, get_at, prove.
- `forms`: `SIMPLE` and `IAVL`, how a store is hashed.
- `multistore`: `Multistore({"ibc": ProvableStore(), …})`: `commit()`, `root(version)`, `prove(store, key, version)`.
- `batch`: `expanded(proof)`, the single proofs of a batch, for whoever must read one.

The messages are those of `nodes.ibc.proto.ics23`.
"""
