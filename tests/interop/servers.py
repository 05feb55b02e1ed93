"""Our server and the control, as the tests of foreign clients see them.

Each says what a client is told to do there, and gives the browser of the one who decides.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from urllib.parse import urljoin

import httpx

from api.oauth import clients
from tests.support.oauth_client import agreement_details, new_key, public_jwks
from tests.support.web_browser import WebBrowser
from tests.support.world import CALLBACK

EMAIL = "contact.email"
# What each foreign client signs with.
ALGORITHMS = {"openid-client": "ES256", "requests-oauth2client": "PS256"}
# Of the client that sends what it likes; it would do for RS256 as well.
RAW_KEY = new_key("PS256", kid="raw")


def order(issuer, client_id, name, key, **members):
    """Return what a foreign client is told to do."""
    return {
        "issuer": issuer,
        "client_id": client_id,
        "key": {**key.as_dict(private=True), "alg": ALGORITHMS[name]},
        "redirect_uri": CALLBACK,
        **members,
    }


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


@dataclass
class Ours:
    """The server of this project."""

    world: object
    person: object
    keys: dict

    def order(self, name):
        """Approve an organisation whose client is a program of other people."""
        shop, key = self.world.organisation(), self.keys[name]
        client_id = register(self.world, shop.id, name, key)
        details = shop.details(shop.publish(required=[EMAIL]))
        return order(
            self.world.issuer,
            client_id,
            name,
            key,
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
    keys: dict

    def order(self, name):
        """Return what a client is to do here; OpenID Connect's userinfo is the resource."""
        details = agreement_details("template", "0" * 64, attributes=[EMAIL])
        return order(
            self.issuer,
            name,
            name,
            self.keys[name],
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
