"""`pds consent check`: what does not hold of the consents in this store, by rule and id (CM-13)."""

from __future__ import annotations

import sys
from itertools import islice
from pathlib import Path

import click

from api import checking
from api.command_line import instance_option, json_option, print_json, services_of
from api.oauth.invariants import ALL_INVARIANTS
from pds.ids import BUCKETS

MOST = 1_000  # counter-examples; whoever has so many needs no more of them


@click.group("consent")
def consent() -> None:
    """Consents, and what must hold of them."""


@consent.command("check")
@instance_option
@json_option
def check(folder: Path, as_json: bool) -> None:  # noqa: FBT001 - click's flag
    """Check every consent's rows against each other; exit status 1 if something does not hold.

    Changes nothing and needs no vault's key; the server may run meanwhile. What is wrong is told by
    rule and ids, never by data: the rules are in docs/consent-model.md.
    """
    services = services_of(folder)
    with click.progressbar(
        length=BUCKETS, label="Checking", file=sys.stderr, hidden=not sys.stderr.isatty()
    ) as bar:
        found = list(
            islice(
                checking.violations(
                    services.uow, progress=lambda last: bar.update(last + 1 - bar.pos)
                ),
                MOST,
            )
        )
    services.uow.close()
    if as_json:
        print_json(
            {
                "ok": not found,
                "rules": [each.rule for each in ALL_INVARIANTS],
                "violations": [each.to_dict() for each in found],
                "stopped_early": len(found) == MOST,
            }
        )
    else:
        for each in found:
            click.echo(f"VIOLATED {each.text()}")
        more = " or more" if len(found) == MOST else ""
        click.echo(f"{len(ALL_INVARIANTS)} rules, {len(found)}{more} violations.")
    if found:
        raise click.exceptions.Exit(1)
