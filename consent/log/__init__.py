"""The verifiable log: events as they happen, and the tree that proves they were not touched since.

`entries` writes an event with the change it tells of; `vaults` does so for a vault's own events and
feeds whoever shares its data. `integrator` places what waits into the tree and signs it, `feed`
numbers changes for organisations; both run in the worker, never inside a request. `reader` serves
the tree and makes evidence of it.
"""
