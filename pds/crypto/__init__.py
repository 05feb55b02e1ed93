"""Pure cryptography: bytes in, bytes out. Every label and every layout is here."""
