"""Who may see what, why, until when, and the proof of it. Knows nothing of HTTP."""
