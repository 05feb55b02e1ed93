"""The synchronisation: consent first, then erasures, then writes, each step safe to repeat."""
