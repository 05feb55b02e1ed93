"""A small world: one server, people, organisations and their clients, over the real interfaces.

Clients speak HTTP to the Flask application through WSGI. People decide through the same services
that the pages call, since the pages have tests of their own.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from uuid import UUID

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from api.app import create_app
from api.oauth import clients
from api.wiring import EXTENSION, wire
from consent import notices, organisations
from consent.choices import Choice
from consent.clauses import CURRENT
from consent.formats import jws
from consent.template_format import TYPE, VERSION
from consent.templates import publish
from pds.crypto.secrets import parse
from pds.ids import random_uuid
from pds.records import Draft
from tests.support.oauth_client import (
    OMIT,
    Callback,
    Client,
    agreement_details,
    new_key,
    pkce_pair,
)

PASSPHRASE = "correct horse battery staple lantern river"
CALLBACK = "https://client.example/cb"
START_PAGE = "https://client.example/login?from=vault"


def secret_of(invited):
    """Return the secret of an invitation's link."""
    return parse(invited["url"].rpartition("/")[2], "iv")


def wording(text):
    """Return the same words in both languages."""
    return {"az": text, "en": text}


def template_document(organisation_id, *, required=(), optional=(), **members):
    """Return a template as an organisation writes it."""
    document = {
        "type": VERSION,
        "id": str(random_uuid()),
        "version": 1,
        "organisation": str(organisation_id),
        "name": wording("Loyalty card"),
        "purpose": "service_provision",
        "purpose_text": wording("We want your contact details so that we can keep your card."),
        "lawful_basis": "consent",
        "attributes": [{"name": name, "reason": wording("Needed.")} for name in required],
        "optional_attributes": [{"name": name, "reason": wording("Nice.")} for name in optional],
        "actions": ["read"],
        "access": {"mode": "on_change", "fetches_per_day": 100},
        "instances": {},
        "data_from": {},
        "max_duration": "P365D",
        "retention": {"after_end": "P30D", "text": wording("Deleted within 30 days.")},
        "storage_location": "AZ",
        "recipients": [],
        "automated_decisions": False,
        "if_refused": wording("You get no card."),
        "complaint": wording("Write to us."),
        "jurisdiction": "AZ",
        "clauses": CURRENT.sha256,
    }
    return document | members


@dataclass
class Organisation:
    """An organisation with a client and its keys."""

    world: World
    id: object
    client: Client
    signing_key: Ed25519PrivateKey
    kid: str
    token: str = ""

    def publish(self, **members):
        """Publish a template and return it."""
        document = template_document(self.id, **members)
        signed = jws.sign(document, self.signing_key, kid=self.kid, typ=TYPE)
        services = self.world.services

        def job(session):
            keys = clients.signing_keys(session, self.id, now=services.clock.now())
            return publish(session, signed, keys=keys, now=services.clock.now())

        return services.uow.write(job)

    def another_client(self):
        """Register a second program of the same organisation; returns the organisation with it."""
        services, keys = self.world.services, {"keys": [self.client.key.as_dict(private=False)]}

        def job(session):
            return clients.create(
                session,
                organisation_id=self.id,
                name="Another app",
                redirect_uris=[CALLBACK],
                jwks=keys,
                loopback=True,
                now=services.clock.now(),
            )

        client = Client.of_metadata(
            self.world.http,
            str(services.uow.write(job)),
            self.world.issuer,
            self.client.key,
            clock=lambda: services.clock.now().timestamp(),
        )
        return replace(self, client=client, token="")

    def details(self, template, *, attributes=None, optional=None, **members):
        """Return the RAR object that asks for all of a template."""
        return agreement_details(
            str(template.id),
            template.sha256,
            attributes=list(template.required if attributes is None else attributes),
            optional_attributes=list(template.optional if optional is None else optional),
            **members,
        )

    def invite(self, template, reference="K-20431", **members):
        """Make an invitation; returns the answer's body."""
        body = {"template": str(template.id), "reference": reference, **members}
        answer = self.post("/v1/invitations", self.organisation_token(), body)
        assert answer.status_code == 201, answer.text
        return answer.json()

    def organisation_token(self):
        """Return a client-credentials token, made once."""
        if not self.token:
            answer = self.client.client_credentials("organisation")
            assert answer.status_code == 200, answer.text
            self.token = answer.json()["access_token"]
        return self.token

    def get(self, path, token, **kwargs):
        """Read a resource."""
        return self.client.get(self.world.url(path), token, **kwargs)

    def post(self, path, token, body, **kwargs):
        """Write to a resource."""
        return self.client.request("POST", self.world.url(path), token, json=body, **kwargs)


@dataclass
class Person:
    """Someone with a vault, signed in and unlocked."""

    world: World
    login: str
    vault_id: object
    recovery_code: str = field(repr=False)
    signed_in: object = field(repr=False, default=None)
    unlocked: object = field(repr=False, default=None)

    @property
    def visitor(self):
        """Return this person as a request sees them."""
        return self.world.services.sessions.resolve(self.signed_in, self.unlocked)

    @property
    def records(self):
        """Return their records."""
        return self.world.services.records(self.visitor)

    def sign_in(self):
        """Sign in afresh, with whatever an unlock brings about."""
        services = self.world.services
        entrance = services.accounts.enter(self.login, PASSPHRASE)
        self.signed_in, self.unlocked = services.sessions.sign_in(entrance)
        visitor = self.visitor
        return services.custody.after_unlock(visitor.vault, visitor.open_vault)

    def save(self, collection, **data):
        """Write a new record."""
        return self.records.save(Draft(collection, data))


@dataclass(frozen=True)
class Connected:
    """A person's agreement with an organisation, with its tokens."""

    person: Person
    organisation: Organisation
    template: object
    agreement_id: object
    access_token: str
    refresh_token: str
    body: dict

    def get(self, path, **kwargs):
        """Read with the access token."""
        return self.organisation.get(path, self.access_token, **kwargs)

    def post(self, path, body, **kwargs):
        """Write with the access token."""
        return self.organisation.post(path, self.access_token, body, **kwargs)

    def withdraw(self, *, request_deletion=True):
        """Stop sharing."""
        vault = self.person.visitor.vault
        self.person.world.services.endings.withdraw(
            vault, self.agreement_id, request_deletion=request_deletion
        )


class World:
    """One server on one store."""

    def __init__(self, store, *, clock=None, app=None):
        self.store = store
        self.services = wire(store.settings, clock=clock)
        self.app = app or create_app(self.services)
        self.app.extensions[EXTENSION] = self.services
        self.app.extensions["pds_authorization"] = self.services.authorization
        self.http = httpx.Client(transport=httpx.WSGITransport(app=self.app), base_url=self.issuer)

    @property
    def issuer(self):
        """Return the public base URL."""
        return self.store.settings.server.issuer

    def url(self, path):
        """Return an absolute URL."""
        return f"{self.issuer}{path}"

    def close(self):
        """Close connections."""
        self.http.close()
        self.services.uow.close()

    def person(self, login="aysel"):
        """Sign someone up and in."""
        made = self.services.accounts.sign_up(login, PASSPHRASE, locale="en")
        person = Person(self, login, made.vault_id, made.recovery_code)
        person.sign_in()
        return person

    def organisation(self, name="Xəzər Market", *, redirect_uri=CALLBACK, start_page=START_PAGE):
        """Approve an organisation with one client."""
        signing = new_key("Ed25519", kid=f"sign-{random_uuid().hex[:6]}")
        private = Ed25519PrivateKey.from_private_bytes(signing.private_key.private_bytes_raw())
        now = self.services.clock.now()

        def job(session):
            organisation_id = organisations.create(
                session,
                name_az=name,
                name_en=name,
                contact="privacy@xezer.example",
                address="Bakı, Nizami küçəsi 1",
                jurisdiction="AZ",
                now=now,
            )
            client_id = clients.create(
                session,
                organisation_id=organisation_id,
                name=f"{name} app",
                redirect_uris=[redirect_uri],
                initiate_login_uri=start_page,
                jwks={"keys": [signing.as_dict(private=False)]},
                loopback=True,
                now=now,
            )
            return organisation_id, client_id

        organisation_id, client_id = self.services.uow.write(job)
        client = Client.of_metadata(
            self.http,
            str(client_id),
            self.issuer,
            signing,
            clock=lambda: self.services.clock.now().timestamp(),
        )
        return Organisation(self, organisation_id, client, private, signing.as_dict()["kid"])

    def push(self, organisation, details, *, proof=OMIT):
        """Push a request; returns its URI and the PKCE verifier."""
        verifier, challenge = pkce_pair()
        answer = organisation.client.push(challenge, details=details, proof=proof)
        assert answer.status_code == 201, answer.text
        return answer.json()["request_uri"], verifier

    def go_on(self, person, invited):
        """Open an invitation's link and go on with it; returns what the page showed."""
        visitor = person.visitor
        return self.services.invitations.go_on(
            secret_of(invited), visitor.vault, visitor.open_vault
        )

    def open_request(self, person, organisation, request_uri):
        """Open a pushed request as its page does; returns what the decision needs."""
        with self.app.app_context():
            authorization = self.services.authorization
            pending = authorization.begin(organisation.client.client_id, request_uri)
            visitor = person.visitor
            authorization.bind(pending, visitor)
            request, notice = self.services.agreements.show(
                visitor.vault, pending.ask, pending.details, pending.pushed_id, locale="en"
            )
        return pending, request, notices.notice_sha256(notice)

    def allow(self, person, opened, *, optional=(), duration="P30D", visitor=None, **chosen):
        """Allow, and return what the browser brings back; `visitor` may be one seen earlier."""
        pending, request, shown = opened
        choice = Choice(shown, "en", frozenset(optional), duration, **chosen)
        visitor = visitor or person.visitor
        with self.app.test_request_context():
            location = self.services.authorization.allow(pending, visitor, request, choice)
        return Callback.of(location)

    def refuse(self, person, opened):
        """Refuse, and return what the browser brings back."""
        pending, request, shown = opened
        with self.app.test_request_context():
            location = self.services.authorization.refuse(
                pending, person.visitor, request, Choice(shown, "en")
            )
        return Callback.of(location)

    def defer(self, person, opened):
        """Put the request aside; returns the way back to the client."""
        pending, request, shown = opened
        with self.app.test_request_context():
            return self.services.authorization.defer(
                pending, person.visitor, request, Choice(shown, "en")
            )

    def connect(
        self, person, organisation, template, *, optional=(), duration="P30D", ask=None, **chosen
    ):
        """Play the whole flow: push, decide, redeem.

        `ask` has further members of the request, `chosen` of the person's choice.
        """
        details = organisation.details(template, **({"duration": duration} | (ask or {})))
        request_uri, verifier = self.push(organisation, details)
        opened = self.open_request(person, organisation, request_uri)
        callback = self.allow(person, opened, optional=optional, duration=duration, **chosen)
        answer = organisation.client.redeem(callback["code"], verifier)
        assert answer.status_code == 200, answer.text
        return self.connected(person, organisation, template, answer.json())

    @staticmethod
    def connected(person, organisation, template, body):
        """Return what a token answer says that was agreed."""
        granted = body["authorization_details"][0]
        return Connected(
            person,
            organisation,
            template,
            UUID(granted["agreement"]),
            body["access_token"],
            body["refresh_token"],
            body,
        )
