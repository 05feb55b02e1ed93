"""Alembic's entry: runs the migrations on the connection that `api.schema` hands in."""

from __future__ import annotations

from alembic import context

attributes = context.config.attributes
# `autogenerate` is there for whoever writes a new migration; running one needs no models.
context.configure(connection=attributes["connection"], **attributes.get("autogenerate", {}))
with context.begin_transaction():
    context.run_migrations()
