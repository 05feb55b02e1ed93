"""The verifier as something to install alone."""
