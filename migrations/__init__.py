"""Alembic migrations. They never import models: what they build is frozen here."""
