"""Keep an organisation's CRM in step with what people share with it, and only while they do.

A separate program: it speaks HTTP to the personal data store and to the CRM and imports nothing of
the server but `consent.formats`. The feed of the store says only *who* changed; applying fetches
the present consented snapshot, so order, duplicates and replays of changes cannot matter.
"""
