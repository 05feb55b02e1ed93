"""The store's schema: which version it has, and how it gets to the newest."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine

import migrations
from pds.errors import ConfigurationError


def current(engine: Engine) -> str | None:
    """Return the revision the store has, or None for an empty store."""
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def head() -> str:
    """Return the revision that this program needs."""
    revision = ScriptDirectory.from_config(_config()).get_current_head()
    if revision is None:
        raise ConfigurationError("the installation has no migrations: install it again")
    return revision


def upgrade(engine: Engine, target: str = "head") -> None:
    """Bring the store up to `target`; repeating it changes nothing.

    Raises:
        ConfigurationError: the store was written by a newer version of this program.
    """
    refuse_newer(engine)
    _run(engine, command.upgrade, target)


def downgrade(engine: Engine, target: str) -> None:
    """Take the store back to `target`."""
    _run(engine, command.downgrade, target)


def require_head(engine: Engine) -> None:
    """Refuse to work on a store that has not exactly the schema this program needs.

    Raises:
        ConfigurationError: it is older or newer; the message says what to do.
    """
    refuse_newer(engine)
    if current(engine) != head():
        raise ConfigurationError("the database is not up to date: run `pds db upgrade`")


def refuse_newer(engine: Engine) -> None:
    """Refuse a store whose revision this program does not know.

    Raises:
        ConfigurationError: a newer version of this program wrote it.
    """
    revision = current(engine)
    known = {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}
    if revision is not None and revision not in known:
        raise ConfigurationError(
            f"the database was written by a newer version (revision {revision}). Nothing was"
            " changed. Install that version, or restore a backup from before the upgrade."
        )


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__path__[0])))
    return config


def _run(engine: Engine, step: object, target: str) -> None:
    config = _config()
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        step(config, target)  # type: ignore[operator]  # alembic's commands share this shape
        connection.commit()
