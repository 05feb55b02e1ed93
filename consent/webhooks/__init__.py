"""Webhooks: an organisation's feed, pushed to addresses that it names (ORG-17 to ORG-19, D17)."""
