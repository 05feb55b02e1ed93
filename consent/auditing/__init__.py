"""The auditor's desk: engagements, and what is seen within one.

An engagement says which organisations, which period and until when. Whatever an auditor is shown
passes through its `Scope`; people are pseudonyms that no other engagement shares.
"""
