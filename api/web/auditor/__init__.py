"""The auditor's desk: what an engagement opens (AUD-1 to AUD-16)."""
