"""An invitation from the shop's counter to its customer's entry, over real sockets (CON-26)."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from werkzeug.serving import WSGIRequestHandler, make_server

from api.demo import shop
from api.demo.browser import Browser
from api.demo.stage import free_port
from connector.clock import SystemClock
from connector.pds import authorization
from connector.pds.client import PDSClient
from tests.support.stores import Store
from tests.support.world import PASSPHRASE
from tests.support.worlds import world_on

REFERENCE = "K-20431"


class _Quiet(WSGIRequestHandler):
    def log_request(self, *_args):
        """Say nothing."""


class Idle:
    """A program that has nothing to do."""

    def terminate(self):
        """Nothing runs."""

    def poll(self):
        return 0


class Program:
    """The market's connector as its shop uses it, with the connector's own code for pushing."""

    def __init__(self, client, template, redirect_uri):
        self.client, self.template, self.redirect_uri = client, template, redirect_uri
        self.pending = None

    def start(self, *_arguments):
        return Idle()

    def ask(self, invitation=""):
        wanted = authorization.Wanted(
            str(self.template.id),
            self.template.sha256,
            self.template.required,
            self.template.optional,
            "P30D",
            invitation,
        )
        self.pending = authorization.push(self.client, wanted, redirect_uri=self.redirect_uri)
        return self.pending.url, Idle()


class NoCrm:
    """A CRM with nobody in it."""

    def parties(self):
        return []


@pytest.fixture
def served(sqlite_store):
    """Serve a world on a port of this machine."""
    with ExitStack() as stack:
        server = make_server("127.0.0.1", 0, app=None, threaded=True, request_handler=_Quiet)
        stack.callback(server.server_close)
        issuer = f"http://127.0.0.1:{server.server_port}"
        settings = replace(
            sqlite_store.settings, server=replace(sqlite_store.settings.server, issuer=issuer)
        )
        store = Store(sqlite_store.kind, settings, sqlite_store.uow)
        world = stack.enter_context(world_on(store))
        server.app = world.app
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        stack.callback(thread.join)
        stack.callback(server.shutdown)
        yield world


@pytest.fixture
def market(served):
    """Open the market's shop; gives the organisation and its program."""
    port = free_port(8600)
    here = f"http://127.0.0.1:{port}"
    market = served.organisation(redirect_uri=f"{here}/callback", start_page=f"{here}/login")
    template = market.publish(required=["profile.given_name"])
    with httpx.Client() as http:
        client = PDSClient(
            served.issuer,
            client_id=market.client.client_id,
            key=market.client.key,
            dpop_key=market.client.dpop_key,
            http=http,
            clock=SystemClock(),
        )
        program = Program(client, template, f"{here}/callback")
        with shop.serving(program, NoCrm(), served.issuer, port):
            yield market, program


def test_the_shop_learns_which_of_its_customers_allowed(served, market):
    organisation, program = market
    served.person("daniel").save("profile", given_name="Daniel")
    invited = organisation.invite(program.template, REFERENCE)
    browser = Browser(served.issuer)
    page = browser.get(f"/sign-in?next={urlsplit(invited['url']).path}")
    page = browser.submit(page, "passphrase", login="daniel", passphrase=PASSPHRASE)

    page = browser.submit(page, "go")
    assert REFERENCE in page.text
    assert urlsplit(page.url).path == "/oauth/authorize"
    page = browser.submit(page, "decision", decision="allow", duration="P30D")
    browser.close()

    answer = {name: values[0] for name, values in parse_qs(urlsplit(page.url).query).items()}
    made = authorization.redeem(program.client, program.pending, answer)
    assert made.grant.reference == REFERENCE


@pytest.mark.parametrize("query", ["", "?iss=https://other.example", "?invitation=1"])
def test_the_shop_begins_nothing_for_another_issuer(market, query):
    """OpenID Connect Core 1.0 section 4: the client compares `iss`."""
    _, program = market
    start_page = program.redirect_uri.replace("/callback", "/login")

    answer = httpx.get(f"{start_page}{query}")

    assert answer.status_code == 400
    assert program.pending is None
