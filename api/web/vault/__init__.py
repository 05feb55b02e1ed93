"""The vault's own pages: collections, records, files, and bringing data in."""
