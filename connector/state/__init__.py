"""What the connector remembers between runs: ids, versions and keyed digests, no personal values.

The store is SQLite (WAL) or PostgreSQL. Tokens stand in it sealed (CON-30).
"""
