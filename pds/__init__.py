"""The vault: one person's data at rest. Knows nothing of consent or HTTP."""
