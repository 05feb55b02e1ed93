"""What somebody sets for themselves, and the ways to take everything along or end it."""
