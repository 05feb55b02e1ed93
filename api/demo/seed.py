"""Filling an instance: people import their files, organisations publish, some share already.

Everything goes through the services and endpoints that everybody uses: nothing is written into the
store from the side.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import httpx
from sqlalchemy.orm import Session

from api import schema
from api.app import create_app
from api.demo import personas
from api.demo.oauth_client import OrganisationClient
from api.demo.personas import BUSINESSES, CONNECTED, PEOPLE, Business, Persona
from api.keys import new_jwk, publish_template
from api.oauth import clients
from api.wiring import Wiring, wire
from consent import auditors, notices, organisations
from consent.auditing import engagements
from consent.choices import Choice
from consent.templates import Template
from consent.vocabulary import EventName
from pds import instance, passphrases
from pds import settings as settings_module
from pds.sessions import Visitor
from pds.settings import SETTINGS_FILE

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class SeededPerson:
    """Someone who can sign in."""

    login: str
    name: str
    locale: str
    passphrase: str = field(repr=False)
    recovery_code: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class SeededOrganisation:
    """An organisation with its client, key file and template."""

    key: str
    name: str
    organisation_id: str
    client_id: str
    private_jwk_file: str
    redirect_uris: list[str]
    templates: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Seeded:
    """What clients that we did not write need to know."""

    base_url: str
    issuer: str
    instance: str
    people: list[SeededPerson]
    organisations: list[SeededOrganisation]
    auditors: list[dict[str, str]] = field(repr=False)
    serve_command: str

    def to_json(self) -> str:
        """Return one JSON object."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False)

    def organisation(self, business: Business) -> SeededOrganisation:
        """Return one of the organisations."""
        return next(one for one in self.organisations if one.key == business.key)

    def person(self, login: str) -> SeededPerson:
        """Return one of the people."""
        return next(one for one in self.people if one.login == login)


def seed(folder: Path, *, port: int, say: Say) -> Seeded:
    """Make an instance in an empty folder and fill it.

    Args:
        folder: the instance folder.
        port: where the server will listen; redirect URIs are on the two ports after it.
        say: called with a line for each step.

    Raises:
        ConfigurationError: the folder is an instance already.
    """
    issuer = f"http://127.0.0.1:{port}"
    instance.create(folder)
    text = f'[server]\nissuer = "{issuer}"\nport = {port}\ninsecure_loopback = true\n'
    (folder / SETTINGS_FILE).write_text(text, "utf-8")
    services = wire(settings_module.load(folder))
    schema.upgrade(services.uow.engine)
    app = create_app(services)
    with httpx.Client(transport=httpx.WSGITransport(app=app), base_url=issuer) as http:
        people = [_person(services, persona, say) for persona in PEOPLE]
        found = [_organisation(services, folder, business, port) for business in BUSINESSES]
        say(f"{len(found)} organisations published their agreement templates")
        aysel = people[0]
        for business, optional in CONNECTED:
            mine = found[BUSINESSES.index(business)]
            with app.test_request_context():
                _connect(services, http, aysel, mine, optional)
        say(f"{aysel.name} shares with {len(CONNECTED)} organisations already")
        auditor = services.uow.write(lambda session: _auditor(services, session))
    services.uow.close()
    return Seeded(
        base_url=issuer,
        issuer=issuer,
        instance=str(folder),
        people=people,
        organisations=found,
        auditors=[auditor],
        serve_command=f"pds serve --instance {folder}",
    )


def _person(services: Wiring, persona: Persona, say: Say) -> SeededPerson:
    passphrase = passphrases.generate()
    made = services.accounts.sign_up(persona.login, passphrase, locale=persona.locale)
    visitor = _sign_in(services, persona.login, passphrase)
    imports = services.imports(visitor)
    records = 0
    for file in persona.files:
        data = files("api.demo").joinpath("data", file.name).read_bytes()
        import_id = imports.stage(file.format, data, own_card=file.own_card)
        progress = imports.progress(import_id)
        while progress.state != "done":
            progress = imports.advance(import_id)
        records += sum(progress.imported.values())
    say(f"{persona.name} imported {records} records from {len(persona.files)} files")
    return SeededPerson(persona.login, persona.name, persona.locale, passphrase, made.recovery_code)


def _sign_in(services: Wiring, login: str, passphrase: str) -> Visitor:
    entrance = services.accounts.enter(login, passphrase)
    visitor = services.sessions.resolve(*services.sessions.sign_in(entrance))
    if visitor is None:
        raise RuntimeError("a session that was just made is gone")
    return visitor


def _organisation(
    services: Wiring, folder: Path, business: Business, port: int
) -> SeededOrganisation:
    private = new_jwk()
    key_file = folder / f"{business.key}.jwk"
    key_file.touch(mode=0o600)
    key_file.write_text(json.dumps(private), "utf-8")
    redirect_uris = [f"http://127.0.0.1:{port + offset}/callback" for offset in (1, 2)]
    start_page = f"http://127.0.0.1:{port + 1}/login"
    public = {name: text for name, text in private.items() if name != "d"}
    now = services.clock.now()

    def job(session: Session) -> tuple[UUID, UUID]:
        organisation_id = organisations.create(
            session,
            name_az=business.name[0],
            name_en=business.name[1],
            contact=business.contact,
            address=business.address,
            jurisdiction="AZ",
            now=now,
        )
        client_id = clients.create(
            session,
            organisation_id=organisation_id,
            name=business.application,
            redirect_uris=redirect_uris,
            initiate_login_uri=start_page,
            jwks={"keys": [public]},
            loopback=True,
            now=now,
        )
        services.log.append_deployment(session, EventName.ORGANISATION_CREATED, at=now)
        return organisation_id, client_id

    organisation_id, client_id = services.uow.write(job)
    template = publish_template(
        services, business.template(organisation_id, on=now.date()), private
    )
    return SeededOrganisation(
        business.key,
        business.name[1],
        str(organisation_id),
        str(client_id),
        str(key_file),
        redirect_uris,
        [_described(template, business)],
    )


def _described(template: Template, business: Business) -> dict[str, Any]:
    return {
        "id": str(template.id),
        "sha256": template.sha256,
        "attributes": list(template.required),
        "optional_attributes": list(template.optional),
        "duration": business.duration,
    }


def _connect(
    services: Wiring,
    http: httpx.Client,
    person: SeededPerson,
    organisation: SeededOrganisation,
    optional: tuple[str, ...],
) -> None:
    template = organisation.templates[0]
    client = OrganisationClient(
        http,
        services.settings.server.issuer,
        organisation.client_id,
        json.loads(Path(organisation.private_jwk_file).read_text("utf-8")),
        organisation.redirect_uris[0],
        lambda: int(services.clock.now().timestamp()),
    )
    request_uri, verifier = client.push(details_of(template))
    visitor = _sign_in(services, person.login, person.passphrase)
    pending = services.authorization.begin(organisation.client_id, request_uri)
    services.authorization.bind(pending, visitor)
    request, notice = services.agreements.show(
        visitor.vault, pending.ask, pending.details, pending.pushed_id, locale=person.locale
    )
    choice = Choice(
        notices.notice_sha256(notice), person.locale, frozenset(optional), template["duration"]
    )
    location = services.authorization.allow(pending, visitor, request, choice)
    code = parse_qs(urlsplit(location).query)["code"][0]
    tokens = client.redeem(code, verifier)
    client.read(tokens["access_token"]).raise_for_status()


def details_of(template: dict[str, Any]) -> dict[str, Any]:
    """Return the RAR object that asks for all of a template."""
    return {
        "type": "data-sharing-agreement",
        "template": template["id"],
        "template_sha256": template["sha256"],
        "actions": ["read"],
        "attributes": template["attributes"],
        "optional_attributes": template["optional_attributes"],
        "duration": template["duration"],
    }


def _auditor(services: Wiring, session: Session) -> dict[str, str]:
    auditor_id, secret = auditors.create(
        session, personas.AUDITOR, log=services.log, now=services.clock.now()
    )
    now = services.clock.now()
    engagements.engage(
        session,
        [auditor_id],
        organisations=None,
        since=now - timedelta(days=366),
        until=now + auditors.ACCESS_FOR,
        expires_at=now + auditors.ACCESS_FOR,
        log=services.log,
        now=now,
    )
    return {"name": personas.AUDITOR, "auditor": str(auditor_id), "access": secret.text()}
