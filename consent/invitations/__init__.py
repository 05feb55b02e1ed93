"""Invitations: an organisation asks by a link that carries its own reference for the person."""
