"""The `pds` command: for the operator, the auditor's verification, and the demonstration.

Every read command has `--json`. The operator has no web pages (D15), and no command here opens a
record.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import click
from rich.console import Console
from rich.table import Table
from sqlalchemy.orm import Session

from api import schema, serving
from api.app import create_app
from api.auditor_commands import auditor
from api.checking_commands import consent
from api.command_line import PDSGroup, instance_option, json_option, print_json, services_of
from api.demo.command import demo
from api.doctor import examine
from api.ending_commands import agreement, reinstate, remove, suspend
from api.freezing_commands import freeze, thaw
from api.keys import new_jwk, publish_template
from api.log_commands import log
from api.oauth import clients, names
from api.registration_commands import registration_token
from api.retention_commands import retention
from api.vault_checking import verify_rows
from api.wiring import wire
from consent import organisations, templates
from consent.formats import canonical
from consent.formats.errors import FormatError
from consent.verifier import cli as verifier
from consent.vocabulary import EventName
from pds import __version__, instance
from pds import settings as settings_module
from pds.clock import SystemClock
from pds.errors import Issue
from pds.settings import SETTINGS_FILE
from witness.commands import witness


@click.group(cls=PDSGroup)
@click.version_option(__version__, prog_name="pds")
def main() -> None:
    """Run and verify a personal data store."""


@main.command("init")
@instance_option
@click.option("--issuer", required=True, help="Public base URL, such as https://vault.example.")
@click.option("--database-url", default="", help="PostgreSQL URL; SQLite in the folder if absent.")
@click.option("--insecure-loopback", is_flag=True, help="Plain HTTP on 127.0.0.1, for trials only.")
def init(folder: Path, issuer: str, database_url: str, insecure_loopback: bool) -> None:  # noqa: FBT001 - click's flag
    """Make an instance folder with fresh keys, and its database."""
    tables = {
        "server": {"issuer": issuer, "insecure_loopback": insecure_loopback},
        "database": {"url": database_url},
    }
    # Before there are keys, which are never replaced.
    settings_module.from_tables(folder, tables)
    instance.create(folder)
    text = "\n".join(
        [
            "[server]",
            f"issuer = {json.dumps(issuer)}",
            f"insecure_loopback = {json.dumps(insecure_loopback)}",
            "",
            "[database]",
            f"url = {json.dumps(database_url)}",
            "",
        ]
    )
    (folder / SETTINGS_FILE).write_text(text, "utf-8")
    services = wire(settings_module.load(folder))
    schema.upgrade(services.uow.engine)
    services.uow.close()
    click.echo(f"Made {folder}. Back up its key files apart from the database: {_key_files()}.")
    click.echo("Next: pds serve, pds organisation create.")


@main.command("serve")
@instance_option
@click.option("--port", type=int, help="Instead of server.port.")
@click.option("--workers", type=int, help="Instead of server.workers; one for each core.")
@click.option("--no-worker", is_flag=True, help="Leave background work to `pds worker`.")
def serve(folder: Path, port: int | None, workers: int | None, no_worker: bool) -> None:  # noqa: FBT001 - click's flag
    """Serve the API and the pages."""
    serving.serve(folder, port=port, workers=workers, with_worker=not no_worker)


@main.command("worker")
@instance_option
def worker(folder: Path) -> None:
    """Do the background work in a process of its own."""
    serving.work(folder)


@main.command("doctor")
@instance_option
@json_option
def doctor(folder: Path, as_json: bool) -> None:  # noqa: FBT001 - click's flag
    """Say what is missing or wrong, and what to do."""
    findings = examine(folder)
    if as_json:
        print_json([finding.to_dict() for finding in findings])
    else:
        marks = {"ok": "ok     ", "wrong": "WRONG  ", "absent": "absent "}
        for finding in findings:
            click.echo(f"{marks[finding.state]} {finding.what}: {finding.detail}")
    if any(finding.state == "wrong" for finding in findings):
        raise click.exceptions.Exit(1)


@main.group("db")
def database() -> None:
    """The database's schema."""


@database.command("upgrade")
@instance_option
def upgrade(folder: Path) -> None:
    """Bring database and key files up to this version; repeating it changes nothing."""
    settings = settings_module.load(folder)
    instance.complete(folder)
    services = wire(settings)
    schema.upgrade(services.uow.engine)
    click.echo(f"The database is at revision {schema.head()}.")
    services.uow.close()


@main.group("organisation")
def organisation() -> None:
    """Organisations that the operator approves."""


@organisation.command("create")
@instance_option
@click.option("--name-az", required=True, help="Name in Azerbaijani.")
@click.option("--name-en", required=True, help="Name in English.")
@click.option("--contact", required=True, help="Where people with questions turn.")
@click.option("--address", required=True, help="Postal address.")
@click.option("--jurisdiction", default="AZ", show_default=True, help="ISO 3166 country code.")
@click.option("--client-name", required=True, help="Name of its application, as people see it.")
@click.option("--redirect-uri", "redirect_uris", multiple=True, required=True)
@click.option("--initiate-login-uri", help="Where people whom it invited are sent.")
@click.option("--jwks", type=click.Path(exists=True, path_type=Path), help="Its public keys.")
@click.option(
    "--allow-look-alike",
    is_flag=True,
    help="Although a name looks like somebody else's, or mixes scripts; the log says so.",
)
@click.option(
    "--new-key",
    type=click.Path(path_type=Path),
    help="Or make an Ed25519 key and write the private JWK here (mode 0600).",
)
def create_organisation(
    folder: Path,
    jwks: Path | None,
    new_key: Path | None,
    **named: Any,  # noqa: ANN401 - click's options
) -> None:
    """Approve an organisation with one client; prints its ids as JSON."""
    services = services_of(folder)
    keys = _Keys.of(jwks, new_key)
    now = services.clock.now()
    given = {named[each] for each in ("name_az", "name_en", "client_name")}
    with services.uow.read() as session:
        fault = names.fault(session, given, of=None)
    if fault is not None and not named["allow_look_alike"]:
        raise click.ClickException(
            f"a name {fault} (THR-2). If it is its own all the same: --allow-look-alike"
        )

    def job(session: Session) -> dict[str, str]:
        organisation_id = organisations.create(
            session,
            name_az=named["name_az"],
            name_en=named["name_en"],
            contact=named["contact"],
            address=named["address"],
            jurisdiction=named["jurisdiction"],
            now=now,
        )
        client_id = clients.create(
            session,
            organisation_id=organisation_id,
            name=named["client_name"],
            redirect_uris=named["redirect_uris"],
            initiate_login_uri=named["initiate_login_uri"],
            jwks=keys.jwks,
            loopback=services.settings.server.insecure_loopback,
            now=now,
        )
        outcome = "look-alike-allowed" if fault is not None else "ok"
        services.log.append_deployment(
            session, EventName.ORGANISATION_CREATED, at=now, outcome=outcome
        )
        return {"organisation": str(organisation_id), "client_id": str(client_id)}

    made = services.uow.write(job)
    keys.keep()
    services.uow.close()
    print_json(made)


@organisation.command("list")
@instance_option
@json_option
def list_organisations(folder: Path, as_json: bool) -> None:  # noqa: FBT001 - click's flag
    """List organisations with their clients."""
    services = services_of(folder)
    with services.uow.read() as session:
        rows = [
            {
                "organisation": str(one.id),
                "name": one.name_en,
                "standing": "frozen" if one.is_frozen else one.standing,
                "agreements": organisations.live_agreements(session, one.id),
                "clients": [str(client.id) for client in clients.of_organisation(session, one.id)],
            }
            for one in organisations.all_of_them(session)
        ]
    services.uow.close()
    if as_json:
        print_json(rows)
        return
    table = Table()
    for name in ("organisation", "name", "standing", "agreements", "clients"):
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(
            str(row["organisation"]),
            str(row["name"]),
            str(row["standing"]),
            str(row["agreements"]),
            "\n".join(map(str, row["clients"])),  # type: ignore[call-overload]  # a list, as above
        )
    Console().print(table)


@organisation.command("rotate-key")
@instance_option
@click.argument("client_id", type=click.UUID)
@click.option("--jwks", type=click.Path(exists=True, path_type=Path), help="Its new public keys.")
@click.option("--new-key", type=click.Path(path_type=Path), help="Or make one, as in `create`.")
def rotate_key(folder: Path, client_id: UUID, jwks: Path | None, new_key: Path | None) -> None:
    """Register a client's new keys; its newest old one keeps working for the overlap."""
    services = services_of(folder)
    keys, now = _Keys.of(jwks, new_key), services.clock.now()

    def job(session: Session) -> None:
        clients.rotate_keys(session, client_id, keys.jwks)
        services.log.append_deployment(session, EventName.ORGANISATION_KEYS_ROTATED, at=now)

    services.uow.write(job)
    keys.keep()
    services.uow.close()
    click.echo("Registered.")


@organisation.command("publish")
@instance_option
@click.argument("template", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--key",
    type=click.Path(exists=True, path_type=Path),
    required=True,
    help="The organisation's private Ed25519 JWK, which signs.",
)
def publish(folder: Path, template: Path, key: Path) -> None:
    """Sign and publish an agreement template (JSON); prints its hash, and what is new, as JSON."""
    services = services_of(folder)
    published = publish_template(services, _json_object(template), _json_object(key))
    with services.uow.read() as session:
        versions = templates.versions(session, published.id, published.organisation_id)
    services.uow.close()
    this = next(one for one in versions if one.template.sha256 == published.sha256)
    print_json(
        {
            "id": str(published.id),
            "version": published.version,
            "sha256": published.sha256,
            "differences": [asdict(one) for one in this.differences],
        }
    )


@main.group("template")
def template_group() -> None:
    """Agreement templates, before they are published."""


@template_group.command("lint")
@click.argument("template", type=click.Path(exists=True, path_type=Path))
def lint_template(template: Path) -> None:
    """Check a template (JSON) and hold it against fair use; exit status 1 if it is refused.

    Prints JSON: `errors` are refused at publication, `flags` are shown to people.
    """
    try:
        document = canonical.parse(template.read_bytes())
    except FormatError as exc:
        raise click.ClickException(f"{template}: {exc}") from exc
    found = templates.lint(document, on=SystemClock().now().date())
    print_json(
        {
            "ok": not found.errors,
            "errors": [_issue(each) for each in found.errors],
            "flags": [_issue(each) for each in found.flags],
        }
    )
    if found.errors:
        raise click.exceptions.Exit(1)


@main.command(
    "verify",
    context_settings={"ignore_unknown_options": True, "help_option_names": []},
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def verify(arguments: tuple[str, ...]) -> None:
    """Check a receipt, evidence, a whole log or (--vault) a vault's rows; see `--help` of it."""
    if any(each.partition("=")[0] == "--vault" for each in arguments):
        # The server's part: the verifier that anyone installs alone knows no store.
        status = verify_rows.main(list(arguments), "pds verify", standalone_mode=False)
    else:
        status = verifier.main(list(arguments))
    raise click.exceptions.Exit(status)


@main.command("openapi")
@instance_option
def openapi(folder: Path) -> None:
    """Print the API's description (OpenAPI 3.1)."""
    app = create_app(wire(settings_module.load(folder)))
    answer = app.test_client().get("/openapi.json")
    click.echo(answer.get_data(as_text=True))


@main.group("config")
def config() -> None:
    """The instance's settings."""


@config.command("check")
@instance_option
@json_option
def check_config(folder: Path, as_json: bool) -> None:  # noqa: FBT001 - click's flag
    """Check the settings and print them; no secret is among them."""
    settings = settings_module.load(folder)
    sections = {
        section: {name: _masked(name, value) for name, value in asdict(found).items()}
        for section in ("server", "database", "vault", "oauth", "log", "mail")
        for found in [getattr(settings, section)]
    }
    if as_json:
        print_json({"instance": str(settings.instance)} | sections)
        return
    click.echo(f"instance = {settings.instance}")
    for section, values in sections.items():
        click.echo(f"[{section}]")
        for name, value in values.items():
            click.echo(f"{name} = {json.dumps(value)}")


def _issue(found: Issue) -> dict[str, str]:
    return {"pointer": found.pointer, "rule": found.rule, "detail": found.detail}


def _json_object(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as exc:
        raise click.UsageError(f"{path} cannot be read as JSON") from exc
    if not isinstance(found, dict):
        raise click.UsageError(f"{path} is no JSON object")
    return found


@dataclass(frozen=True, slots=True)
class _Keys:
    """The public keys to register, and the private one to keep once that has worked."""

    jwks: dict[str, Any]
    private: dict[str, str] | None = field(default=None, repr=False)
    path: Path | None = None

    @classmethod
    def of(cls, jwks: Path | None, new_key: Path | None) -> _Keys:
        if jwks is not None and new_key is None:
            return cls(_json_object(jwks))
        if new_key is None or jwks is not None:
            raise click.UsageError("give either --jwks or --new-key")
        if new_key.exists():
            raise click.UsageError(f"{new_key} exists already and is not replaced")
        private = new_jwk()
        public = {name: text for name, text in private.items() if name != "d"}
        return cls({"keys": [public]}, private, new_key)

    def keep(self) -> None:
        if self.path is not None:
            self.path.touch(mode=0o600, exist_ok=False)
            self.path.write_text(json.dumps(self.private) + "\n", "utf-8")


def _masked(name: str, value: object) -> object:
    if name == "url" and isinstance(value, str) and "@" in value:
        scheme, _, rest = value.partition("://")
        return f"{scheme}://***@{rest.rpartition('@')[2]}"
    return value


def _key_files() -> str:
    return ", ".join(instance.KEY_FILES)


main.add_command(demo)
main.add_command(retention)
main.add_command(agreement)
main.add_command(auditor)
main.add_command(consent)
main.add_command(witness)
main.add_command(log)
for command in (suspend, remove, reinstate, freeze, thaw, registration_token):
    organisation.add_command(command)
