"""The vault: one person's data at rest. Knows nothing of consent or HTTP."""

__version__ = "0.1.0"
