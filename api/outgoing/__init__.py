"""Requests that this server makes to addresses of other people's choosing."""
