"""The personal data store as its client sees it: tokens, proofs, connections and records."""
