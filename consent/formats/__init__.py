"""Formats that anyone can use alone: canonical JSON, the Merkle log, receipts, evidence.

A pure leaf: bytes and values in, bytes and values out, no clock, no file, no network. It needs the
standard library and `cryptography`, and imports nothing else of this project, so that whoever
checks us need not run us: `consent.verifier` is the program. Every codec raises `FormatError` and
nothing else for what it is given.

From the bottom up: `errors`, `encoding`, `canonical`, `fields`, `shapes`; `merkle`, `tiles`;
`note`, `checkpoint`, `cosignature`, `proof`; `leaf`; `jws`, `dpv_terms`, `receipt_facts`,
`receipt_shape`, `receipt`, `deletion_receipt`, `reconciliation`; `bundle`, `meaning`, `report`,
`trust`, `bundle_checks`, `verify`.
"""
