"""What the operator's commands share: errors in one line, `--instance`, `--json`."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click
from sqlalchemy.exc import SQLAlchemyError

from api import schema
from api.wiring import Wiring, wire
from consent.formats.errors import FormatError
from consent.log import publication
from pds import settings as settings_module
from pds.errors import NotFoundError, PDSError, ValidationFailedError

USAGE_ERROR = 2


class PDSGroup(click.Group):
    """Says what is wrong and what to do, in one line, instead of a trace."""

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - click's own
        """Run a command; our own errors become messages and exit status 2."""
        try:
            return super().invoke(ctx)
        except ValidationFailedError as exc:
            for issue in exc.issues:
                click.echo(f"pds: {issue.pointer}: {issue.detail} ({issue.rule})", err=True)
            raise click.exceptions.Exit(USAGE_ERROR) from exc
        except NotFoundError as exc:
            click.echo("pds: there is no such thing in this instance", err=True)
            raise click.exceptions.Exit(USAGE_ERROR) from exc
        except (PDSError, FormatError) as exc:
            click.echo(f"pds: {str(exc) or type(exc).__name__}", err=True)
            raise click.exceptions.Exit(USAGE_ERROR) from exc
        except SQLAlchemyError as exc:
            # The type alone: a message may quote what was written, or a password in the URL.
            click.echo(
                f"pds: the database cannot be used ({type(exc).__name__}): is `database.url` right,"
                " does its server run, is the file whole? A new one needs `pds db upgrade`.",
                err=True,
            )
            raise click.exceptions.Exit(USAGE_ERROR) from exc


def instance_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command `--instance DIR`; it gets the folder as `folder`."""

    @click.option(
        "--instance",
        "given",
        metavar="DIR",
        help="The instance folder; else PDS_INSTANCE, else ./instance.",
    )
    @wraps(command)
    def with_folder(given: str | None, **arguments: Any) -> Any:  # noqa: ANN401 - the command's
        return command(folder=settings_module.find_instance(given), **arguments)

    return with_folder


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def services_of(folder: Path) -> Wiring:
    """Return the services on a database of exactly this version."""
    services = wire(settings_module.load(folder))
    schema.require_head(services.uow.engine)
    with services.uow.read() as session:
        services.uow.halt(publication.halted(session))
    return services


def print_json(value: object) -> None:
    """Print a value as JSON."""
    json.dump(value, sys.stdout, indent=2, ensure_ascii=False)
    sys.stdout.write("\n")
