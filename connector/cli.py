"""The command line: `pds-connector`. Results go to stdout, progress and errors to stderr."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import ParamSpec, TypeVar

import click

from connector import config, instances, views, wiring
from connector.engine import receipts
from connector.engine.run import RunReport
from connector.errors import ConnectorError, LeaseHeldError
from connector.pds import authorization
from connector.progress import shown
from connector.status import read_status
from connector.wiring import Environment, Instance

P = ParamSpec("P")
T = TypeVar("T")
REJECTS_WAITING = 2
ERASURE_OVERDUE = 3
LOG_PROBLEM = 4
PROGRESS = click.Choice(["auto", "plain", "json"])
as_json = click.option("--json", "is_json", is_flag=True, help="Write JSON.")


def _explains_errors(command: Callable[P, T]) -> Callable[P, T]:
    """Turn an error of ours into one line and exit code 1."""

    @wraps(command)
    def wrapper(*arguments: P.args, **options: P.kwargs) -> T:
        try:
            return command(*arguments, **options)
        except ConnectorError as error:
            raise click.ClickException(f"{error.code}: {error}") from error

    return wrapper


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--config",
    "path",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("connector.toml"),
    show_default=True,
    help="The configuration file.",
)
@click.version_option(package_name="personal-data-store")
@click.pass_context
def main(context: click.Context, path: Path) -> None:
    """Keep a CRM in step with what people share, and erase when they stop."""
    environment = context.obj if context.obj is not None else wiring.real_environment()
    context.obj = _Given(path, environment)


class _Given:
    """The configuration's place and the environment; opened by the commands that need it."""

    def __init__(self, path: Path, environment: Environment) -> None:
        self.path = path
        self.environment = environment

    def open(self) -> Instance:
        return wiring.open_instance(self.path, self.environment)


given = click.make_pass_decorator(_Given)


@main.command()
@click.option("--url", help="The personal data store's issuer, for a new configuration.")
@click.option("--client-id", help="This organisation's client, for a new configuration.")
@click.option("--adapter", type=click.Choice(config.ADAPTERS), default="tryton", show_default=True)
@given
@_explains_errors
def init(given: _Given, *, url: str | None, client_id: str | None, adapter: str) -> None:
    """Make configuration, keys and state store; what exists is left as it is."""
    made = instances.create(
        given.path, url=url, client_id=client_id, adapter=adapter, environment=given.environment
    )
    for path in made.files:
        click.echo(f"made {path}", err=True)
    click.echo("register this public key for the client:", err=True)
    click.echo(json.dumps(made.public_key))


@main.command()
@click.option("--template", required=True, help="Id of the template to ask by.")
@click.option("--template-sha256", required=True, help="Its hash, as reviewed and published.")
@click.option("--attributes", required=True, help="Required attributes, with commas.")
@click.option("--optional", default="", help="Optional attributes, with commas.")
@click.option("--duration", required=True, help="For how long, such as P30D.")
@click.option("--invitation", default="", help="Id of the invitation that the person came by.")
@click.option("--redirect-uri", help="Registered URI, where it is not the listener's own.")
@click.option("--listen", default="127.0.0.1:8765", show_default=True, help="Loopback address.")
@click.option("--wait", default="10m", show_default=True, help="How long to wait for the person.")
@given
@_explains_errors
def connect(
    given: _Given,
    *,
    template: str,
    template_sha256: str,
    attributes: str,
    optional: str,
    duration: str,
    invitation: str,
    redirect_uri: str | None,
    listen: str,
    wait: str,
) -> None:
    """Ask one person for a connection; prints the URL to open and waits for the answer."""
    instance = given.open()
    host, _, port = listen.rpartition(":")
    if not port.isdigit():
        raise click.BadParameter("write 127.0.0.1:PORT", param_hint="--listen")
    listener = authorization.RedirectListener(host, int(port))
    wanted = authorization.Wanted(
        template, template_sha256, _names(attributes), _names(optional), duration, invitation
    )
    pending = authorization.push(
        instance.client, wanted, redirect_uri=redirect_uri or listener.redirect_uri
    )
    click.echo(pending.url)
    answer = listener.wait(seconds=config.seconds(wait))
    new = authorization.redeem(instance.client, pending, answer)
    with instance.store.write() as state:
        state.connections.put_refresh_token(new.grant.grant_id, new.refresh_token)
        state.audit.append("connection.made", new.grant.connection, {"grant": new.grant.grant_id})
    click.echo(f"connected {new.grant.connection}")


@main.command()
@as_json
@given
@_explains_errors
def check(given: _Given, *, is_json: bool) -> None:
    """Try server, CRM, mapping and state store; write to none of them."""
    report = instances.check(given.open())
    if is_json:
        click.echo(json.dumps({"facts": report.facts, "problems": report.problems}))
    else:
        for fact in report.facts:
            click.echo(f"ok       {fact}")
        for problem in report.problems:
            click.echo(f"problem  {problem}")
    if report.problems:
        raise SystemExit(1)


@main.command()
@click.option("--explain", metavar="CONNECTION", help="Show each field of one connection.")
@click.option("--progress", "kind", type=PROGRESS, default="auto", show_default=True)
@as_json
@given
@_explains_errors
def plan(given: _Given, *, explain: str | None, kind: str, is_json: bool) -> None:
    """Show what a run would write; nothing is written to the CRM."""
    with shown(kind) as progress:
        report = given.open().engine().run(progress=progress, only=explain, mode="dry")
    views.show_plans(report, is_json=is_json, has_fields=explain is not None)
    _stop_on_problem(report)


@main.command()
@click.option("--dry-run", is_flag=True, help="As `plan`: write nothing to the CRM.")
@click.option("--watch", metavar="INTERVAL", help="Repeat for ever, such as every 60s.")
@click.option("--only", metavar="CONNECTION", help="Apply and erase one connection only.")
@click.option("--progress", "kind", type=PROGRESS, default="auto", show_default=True)
@as_json
@given
@_explains_errors
def run(
    given: _Given,
    *,
    dry_run: bool,
    watch: str | None,
    only: str | None,
    kind: str,
    is_json: bool,
) -> None:
    """Bring the CRM in step: consent first, then erasures, then changes."""
    engine = given.open().engine()
    interval = None if watch is None else config.seconds(watch)
    while True:
        try:
            with shown(kind) as progress:
                report = engine.run(
                    progress=progress,
                    only=only,
                    retry="all" if interval is None else "due",
                    mode="dry" if dry_run else "run",
                )
        except LeaseHeldError:
            if interval is None:
                raise
        else:
            views.show_run(report, is_json=is_json, is_dry=dry_run)
            if interval is None:
                _stop_on_problem(report)
                return
        given.environment.clock.sleep(interval)


@main.command()
@as_json
@given
@_explains_errors
def status(given: _Given, *, is_json: bool) -> None:
    """Show how things stand: exit code 2: rejects wait; 3: an erasure is overdue; 4: the log."""
    instance = given.open()
    current = read_status(
        instance.store,
        instance.environment.clock,
        log_checked=bool(instance.config.server.log_keys),
    )
    if is_json:
        click.echo(json.dumps(current.document()))
    else:
        views.show_status(current)
    if current.overdue:
        raise SystemExit(ERASURE_OVERDUE)
    if current.log_problems:
        raise SystemExit(LOG_PROBLEM)
    if current.rejected:
        raise SystemExit(REJECTS_WAITING)


@main.group()
def erasures() -> None:
    """Erasure jobs."""


@erasures.command("list")
@click.option("--all", "is_all", is_flag=True, help="Finished ones, too.")
@as_json
@given
@_explains_errors
def list_erasures(given: _Given, *, is_all: bool, is_json: bool) -> None:
    """List the jobs that are not finished."""
    with given.open().store.read() as state:
        jobs = state.erasures.all() if is_all else state.erasures.unfinished()
    rows = [
        {
            "job": job.job,
            "connection": job.connection,
            "state": job.state.value,
            "reason": job.reason or "",
            "cause": job.cause,
            "due_at": job.due_at.isoformat(),
            "attempts": job.attempts,
        }
        for job in jobs
    ]
    views.show_rows(rows, is_json=is_json)


@erasures.command("retry")
@given
@_explains_errors
def retry_erasures(given: _Given) -> None:
    """Make every unfinished job due; the next run attempts it."""
    with given.open().store.write() as state:
        count = state.erasures.retry_now()
    click.echo(f"{count} due")


@main.group()
def obligations() -> None:
    """What the organisation owes after the end of an agreement."""


@obligations.command("list")
@as_json
@given
@_explains_errors
def list_obligations(given: _Given, *, is_json: bool) -> None:
    """List what is not answered yet, the most urgent first."""
    rows = [
        {
            "obligation": owed.id,
            "kind": owed.kind,
            "connection": owed.connection,
            "due_at": owed.due_at.isoformat(),
        }
        for owed in given.open().client.obligations()
    ]
    views.show_rows(rows, is_json=is_json)


@obligations.command("answer")
@click.argument("obligation")
@click.option("--ground", help="Code of the legal ground not to do it, such as legal_hold.")
@given
@_explains_errors
def answer_obligation(given: _Given, *, obligation: str, ground: str | None) -> None:
    """Say, signed, that it is done: the data is no longer used, or the others were told.

    A deletion is answered by `run`, which erases and reads again.
    """
    instance = given.open()
    receipts.answer(
        instance.client,
        instance.signer,
        obligation,
        ground=ground,
        now=given.environment.clock.now(),
    )
    click.echo("answered")


@main.group()
def dead() -> None:
    """Rejected connections."""


@dead.command("list")
@as_json
@given
@_explains_errors
def list_dead(given: _Given, *, is_json: bool) -> None:
    """List the rejects: which field, and why."""
    with given.open().store.read() as state:
        entries = state.queue.dead()
    rows = [
        {
            "connection": entry.connection,
            "field": entry.field,
            "error": entry.error_class,
            "message": entry.message,
            "first_at": entry.first_at.isoformat(),
            "attempts": entry.attempts,
        }
        for entry in entries
    ]
    views.show_rows(rows, is_json=is_json)


@dead.command("retry")
@given
@_explains_errors
def retry_dead(given: _Given) -> None:
    """Make every reject due; the next run reads it anew."""
    with given.open().store.write() as state:
        revived = state.queue.revive(due_only=False)
    click.echo(f"{len(revived)} due")


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _stop_on_problem(report: RunReport) -> None:
    if report.problem is not None:
        raise report.problem
