"""Our server and the control, as the tests of foreign clients see them.

Each says what a client is told to do there, and gives the browser of the one who decides.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urljoin

import httpx

from api.oauth import clients
from api.oauth.registration import allow as allow_registration
from tests.support.oauth_client import agreement_details, new_key, public_jwks
from tests.support.web_browser import WebBrowser
from tests.support.world import CALLBACK

EMAIL = "contact.email"
# What each foreign client signs with.
ALGORITHMS = {"openid-client": "ES256", "requests-oauth2client": "PS256"}
# Of the client that sends what it likes; it would do for RS256 as well.
RAW_KEY = new_key("PS256", kid="raw")


def order(issuer, name, key, **members):
    """Return what a foreign client is told to do."""
    return {
        "issuer": issuer,
        "key": {**key.as_dict(private=True), "alg": ALGORITHMS[name]},
        "redirect_uri": CALLBACK,
        **members,
    }


def registration(initial_access_token, name, keys):
    """Return what a foreign client registers itself with.

    Args:
        initial_access_token: of the server's operator.
        name: of the client.
        keys: the metadata's `jwks`, or its `jwks_uri`.
    """
    metadata = {
        "client_name": name,
        "redirect_uris": [CALLBACK],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "private_key_jwt",
        "dpop_bound_access_tokens": True,
        "authorization_details_types": ["data-sharing-agreement"],
        # Of the control, where an ID token comes beside the others.
        "id_token_signed_response_alg": "ES256",
        **keys,
    }
    return {"initial_access_token": initial_access_token, "metadata": metadata}


def register(world, organisation_id, name, key):
    """Register a client of an organisation; returns its id."""

    def job(session):
        return clients.create(
            session,
            organisation_id=organisation_id,
            name=name,
            redirect_uris=[CALLBACK],
            jwks=public_jwks(key),
            loopback=True,
            now=world.services.clock.now(),
        )

    return str(world.services.uow.write(job))


def allow(world, organisation_id):
    """Let an organisation register one client; returns the initial access token."""
    services = world.services
    now = services.clock.now()

    def job(session):
        expires_at = now + timedelta(days=1)
        return allow_registration(
            session, organisation_id, services.log, uses=1, now=now, expires_at=expires_at
        )

    return services.uow.write(job).text()


@dataclass
class Ours:
    """The server of this project."""

    world: object
    person: object
    shop: object
    keys: dict

    def order(self, name, *, registers=None):
        """Let a program of other people be a client of the organisation.

        Args:
            name: of the program.
            registers: the keys of its metadata if it registers itself.
        """
        key = self.keys[name]
        if registers is None:
            known = {"client_id": register(self.world, self.shop.id, name, key)}
        else:
            token = allow(self.world, self.shop.id)
            known = {"registration": registration(token, name, registers)}
        details = self.shop.details(self.shop.publish(required=[EMAIL]))
        return order(
            self.world.issuer,
            name,
            key,
            **known,
            parameters={},
            authorization_details=details,
            resource=self.world.url("/v1/records"),
        )

    def browser(self, decision):
        """Return a person's browser: what it does with a URL, and where it comes back."""

        def decide(url):
            with closing(WebBrowser(self.world, transport=httpx.HTTPTransport())) as browser:
                browser.sign_in(self.person.login)
                page = browser.get(url)
                return browser.submit(page, "decision", decision=decision, duration="P30D").location

        return decide


@dataclass
class Control:
    """oidc-provider, certified for FAPI 2.0."""

    issuer: str
    initial_access_token: str
    keys: dict

    def order(self, name, *, registers=None):
        """Return what a client is to do here; OpenID Connect's userinfo is the resource."""
        known = {"client_id": name}
        if registers is not None:
            known = {"registration": registration(self.initial_access_token, name, registers)}
        details = agreement_details("template", "0" * 64, attributes=[EMAIL])
        return order(
            self.issuer,
            name,
            self.keys[name],
            **known,
            parameters={"scope": "openid"},
            authorization_details=details,
            resource=f"{self.issuer}/me",
        )

    def browser(self, decision):
        """Return a person's browser, which follows redirects until it comes back."""

        def decide(url):
            with httpx.Client() as http:
                while not url.startswith(CALLBACK):
                    asked = "/interaction/" in url
                    answer = http.get(f"{url}?decision={decision}" if asked else url)
                    assert answer.is_redirect, answer.text
                    url = urljoin(url, answer.headers["Location"])
            return url

        return decide
