"""CometBFT's blocks, checked: what is hashed, what is signed, and what a light client concludes from it.

- `merkle`: `root`, `proof`, `Proof.root_of`.
- `hashes`: header_hash, validators_hash, commit_hash, data_hash, results_hash, params_hash, address, vote_sign_bytes,
  `ordered` (validators as CometBFT lists them).
- `commits`: `SignatureCache`, verify_commit, verify_commit_trusting.
- `light`: `Trusted`, `Policy`, `LightBlock`, `verify` (one step), `Bisection`, `conflict`.
- `json_form`: the JSON of CometBFT's RPC, read into the messages of `nodes/ibc/proto` and written from them.
- `command`: `skyloom verify header`.
"""
