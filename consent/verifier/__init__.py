"""The verifier: checks receipts, evidence and whole logs, wherever they lie.

For whoever trusts neither the operator nor this project's server: it imports `consent.formats` and
nothing else of the project, needs the standard library and `cryptography`, and can be installed
alone (`tools/verifier`). `consent.formats.verify` judges; this package reads files and addresses,
keeps what was verified, and reports.
"""
