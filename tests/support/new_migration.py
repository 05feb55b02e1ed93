"""Write a migration from the difference between the models and the migrations so far.

    python -m tests.support.new_migration "Add notices"
    python -m tests.support.new_migration --initial       (before 1.0: write 0001 anew)

Read what it wrote before you commit it: renames look like a drop and an add. It is here and not in
the server because only developers need it; migrations never import models, so types of our own are
written as the SQLAlchemy types beneath them.
"""

from __future__ import annotations

import argparse
import importlib
import subprocess
import sys
import tempfile
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import MetaData, create_engine

import migrations
from pds.db import Base, UTCDateTime

MODEL_MODULES = (
    "pds.models",
    "consent.models",
    "consent.auditing.models",
    "consent.webhooks.models",
    "consent.idempotency",
    "consent.invitations.models",
    "api.oauth.models",
)
VERSIONS = Path(migrations.__path__[0]) / "versions"
INITIAL = "0001_initial.py"
LINE = 100


def all_tables() -> MetaData:
    """Return the metadata of every table of the server."""
    for module in MODEL_MODULES:
        importlib.import_module(module)
    return Base.metadata


def plain_type(kind: str, item: object, _context: object) -> str | bool:
    """Render our column types as what they are in the store; False leaves it to Alembic."""
    if kind == "type" and isinstance(item, UTCDateTime):
        return "sa.DateTime(timezone=True)"
    return False


def write(message: str, revision: str) -> Path:
    """Write the migration `revision` and return its path."""
    config = Config()
    config.set_main_option("script_location", str(VERSIONS.parent))
    config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    with tempfile.TemporaryDirectory() as folder:
        engine = create_engine(f"sqlite:///{folder}/empty.db")
        with engine.connect() as connection:
            config.attributes |= {
                "connection": connection,
                "autogenerate": {
                    "target_metadata": all_tables(),
                    "render_item": plain_type,
                    # SQLite cannot alter a table in place; the first migration alters none.
                    "render_as_batch": revision != "0001",
                },
            }
            command.upgrade(config, "head")
            script = command.revision(config, message, autogenerate=True, rev_id=revision)
        engine.dispose()
    path = Path(script.path)
    lines = path.read_text("utf-8").splitlines()
    path.write_text("\n".join(line for line in lines if "# ###" not in line), "utf-8")
    _ruff("format", path)
    lines = path.read_text("utf-8").splitlines()
    path.write_text("".join(f"{_excused(line)}\n" for line in lines), "utf-8")
    _ruff("check", "--fix", path)
    return path


def _ruff(*arguments: str | Path) -> None:
    ruff = Path(sys.executable).with_name("ruff")
    subprocess.run([ruff, *arguments, "--quiet"], check=True)  # noqa: S603 - our own arguments


def _excused(line: str) -> str:
    return line if len(line) <= LINE else f"{line}  # noqa: E501 - one SQL expression"


def main() -> None:
    """Write one migration and say where it is."""
    parser = argparse.ArgumentParser(description="Write a migration from the models.")
    parser.add_argument("message", nargs="?", default="Initial")
    parser.add_argument("--initial", action="store_true", help="write 0001 anew")
    arguments = parser.parse_args()
    if arguments.initial:
        (VERSIONS / INITIAL).unlink(missing_ok=True)
    revision = f"{len(list(VERSIONS.glob('[0-9]*.py'))) + 1:04d}"
    sys.stdout.write(f"{write(arguments.message, revision)}\n")


if __name__ == "__main__":
    main()
