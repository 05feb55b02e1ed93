"""Every route by every role, from the table of routes: what is not said to be open is shut.

A route is of one role, by its blueprint. All others are turned away from it, though they come with
a genuine form and a good token of their own. A route in a blueprint that is not sorted in is
nobody's, and its own role is turned away, too.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from pds.ids import random_uuid
from tests.e2e.test_web_personal_apps import TOKEN, jwk, let_in
from tests.support.auditing import engaged
from tests.support.life import live
from tests.support.oauth_client import Client, new_key
from tests.support.web_browser import WebBrowser
from tests.support.worlds import world_on

PAGES, PROGRAMS = ("person", "limited", "desk"), ("auditor", "organisation", "grant", "app")
# Blueprints of machines, and of pages that are not a person's.
OF = {
    "audit": "auditor",
    "audit_agreements": "auditor",
    "audit_alerts": "auditor",
    "audit_packs": "auditor",
    "audit_samples": "auditor",
    "audit_searches": "auditor",
    "audit_unmaskings": "auditor",
    "organisations": "organisation",
    "invitations": "organisation",
    "webhooks": "organisation",
    "grants": "grant",
    "own": "app",
    "oauth": "client",
    "grant_management": "client",
    "web.limited": "limited",
    "web.auditor_entrance": "desk",
    "web.auditor_desk": "desk",
    "web.auditor_agreements": "desk",
    "web.auditor_packs": "desk",
    "web.auditor_samples": "desk",
    "web.auditor_unmaskings": "desk",
    "web.auditor_figures": "desk",
    "web.auditor_alerts": "desk",
}
# What the log, the descriptions and the ways in tell to all.
OPEN_BLUEPRINTS = {"log", "health", "assets", "documentation", "api-docs", "web.help"}
OPEN = {
    "oauth.metadata",
    "oauth.resource_metadata",
    "audit.receipt_keys",
    "web.home.show",
    "web.reference.show",
    "web.documents.notice",
    "web.entrance.sign_in_form",
    "web.entrance.sign_in",
    "web.entrance.preferences",
    "web.signing_up.before",
    "web.signing_up.form",
    "web.signing_up.sign_up",
    "web.recovering.form",
    "web.recovering.recover",
    "web.passkey_entrance.challenge",
    "web.passkey_entrance.sign_in",
    "web.limited.lost",
    "web.limited.ask",
    "web.limited.asked",
    "web.limited.link",
    "web.limited.use",
    "web.limited.end",
    "web.deletion.show",
    "web.deletion.done",
    "web.auditor_entrance.show",
    "web.auditor_entrance.sign_in",
}
# With what a request that is refused for its form alone gets as far as the token.
QUERIES = {"own.OwnRecords": "?collection=contact", "organisations.LogEntries": "?stream=x"}
BODIES = {
    "grants.Deposits": {"document_id": "x", "data": {}},
    "organisations.Freeze": {"reason": "precaution"},
    "organisations.Termination": {"reason": "service-ended"},
    "invitations.Invitations": {"template": str(random_uuid()), "reference": "K-1"},
    "webhooks.Endpoints": {"url": "https://market.example/hook"},
    "webhooks.RangeRedelivery": {"first": 1, "last": 1},
}
ENTRANCES = ("/sign-in", "/auditor", "/lost-passphrase")
VALUES = {"name": "contact", "collection": "contact", "sha256": "0" * 64, "number": "1"}


@dataclass
class Role:
    """A browser, signed in or not, and what a program adds to its requests."""

    browser: object
    client: object = None
    token: str = ""
    forms: str = field(default="", repr=False)

    def send(self, method, path, body):
        headers = {"Origin": self.browser.world.issuer}
        if self.client:
            url = self.browser.world.url(path.partition("?")[0])
            headers["Authorization"] = f"DPoP {self.token}"
            headers["DPoP"] = self.client.proof(method, url, access_token=self.token)
        elif self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        self.forms = self.forms or self.browser.token()
        sent = {"json": body} if body else {"data": {"csrf": self.forms}}
        sent = {} if method in {"GET", "DELETE"} else sent
        return self.browser.http.request(method, path, headers=headers, **sent)


@pytest.fixture(scope="module")
def scene(stores):
    """Give a world, whoever there is in it, and the engagement of its auditor."""
    with stores.migrated("sqlite") as store, world_on(store) as world:
        life, key = live(world, world.issuer), new_key()
        market, auditor = life.market, engaged(world, life.market)
        reads = world.connect(life.aysel, market, life.template)
        nobody, person, limited, desk = browsers = [WebBrowser(world) for _ in range(4)]
        person.sign_in("aysel")
        app = TOKEN.search(let_in(person, jwk(key)).text)[0]
        limited.submit(limited.get(life.limited_link()), "go")
        auditor.sign_in(desk)
        now = lambda: world.services.clock.now().timestamp()  # noqa: E731 - as a program's clock
        program = Client(world.http, "app", world.issuer, key, {}, dpop_key=key, clock=now)
        yield (
            world,
            {
                "nobody": Role(nobody),
                "person": Role(person),
                "limited": Role(limited),
                "desk": Role(desk),
                "auditor": Role(nobody, token=auditor.access),
                "organisation": Role(nobody, market.client, market.organisation_token()),
                "grant": Role(nobody, market.client, reads.access_token),
                "app": Role(nobody, program, app),
            },
            auditor.engagement_id,
        )
        for each in browsers:
            each.close()


def routes(world, engagement):
    """Yield whose a route is, its method and address, with ids that nothing has, and its body."""
    for rule in world.app.url_map.iter_rules():
        blueprint = rule.endpoint.rpartition(".")[0]
        if rule.endpoint in OPEN or blueprint in OPEN_BLUEPRINTS:
            continue
        whose = OF.get(blueprint, "person" if blueprint.startswith("web.") else "of nobody")
        path = rule.rule.replace("<uuid:engagement>", str(engagement))
        for argument in rule.arguments:
            value = VALUES.get(argument, str(random_uuid()))
            for kind in ("", "uuid:", "int:", "string:"):
                path = path.replace(f"<{kind}{argument}>", value)
        for method in sorted(rule.methods - {"HEAD", "OPTIONS"}):
            query = QUERIES.get(rule.endpoint, "")
            yield whose, method, path + query, BODIES.get(rule.endpoint)


def turns_away(answer):
    """Tell whether an answer lets nobody in: refused, or led to where one enters."""
    away = answer.status_code in {400, 401, 403, 404} or (
        answer.status_code == 303 and answer.headers["Location"].startswith(ENTRANCES)
    )
    return away and not answer.headers.get("PDS-Log-Entry")


def test_whose_a_route_is_not_is_turned_away(scene):
    """SEC-S22: default deny."""
    world, roles, engagement = scene
    let_in_wrongly = [
        (name, method, path, answer.status_code)
        for whose, method, path, body in routes(world, engagement)
        for name, role in roles.items()
        if name != whose and not turns_away(answer := role.send(method, path, body))
    ]

    assert not let_in_wrongly


def test_whose_a_route_is_gets_in(scene):
    """Else all would be turned away from everything, and the test above would see no difference."""
    world, roles, engagement = scene
    entered = {
        whose: [
            path
            for each, method, path, body in routes(world, engagement)
            if each == whose and method == "GET" and "-4" not in path.replace(str(engagement), "")
            if roles[whose].send(method, path, body).status_code == 200
        ]
        for whose in {*PAGES, *PROGRAMS}
    }

    assert {whose for whose, paths in entered.items() if paths} == {*PAGES, *PROGRAMS}
    assert len(entered["person"]) > 20
    assert len(entered["desk"]) > 5
