"""The authorization server: one module per RFC, on Authlib's extension points."""
