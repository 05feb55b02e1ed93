"""A served world, with one person's life in it, and Chromium to look at it with."""

from __future__ import annotations

import shutil
import threading
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

import pytest
from playwright.sync_api import sync_playwright
from werkzeug.serving import WSGIRequestHandler, make_server

from pds.records import Draft
from tests.support.stores import Store
from tests.support.world import PASSPHRASE
from tests.support.worlds import world_on

CARDS = "".join(
    f"BEGIN:VCARD\nVERSION:3.0\nFN:Person{number}\nEMAIL:person{number}@poct.example\nEND:VCARD\n"
    for number in range(600)
).encode()


def pytest_collection_modifyitems(items):
    """Everything here needs Chromium."""
    for item in items:
        if "tests/browser/" in item.nodeid:
            item.add_marker("browser")


class _Quiet(WSGIRequestHandler):
    """Says nothing of each request: a failing test has enough to say."""

    def log_request(self, *_args):
        """Say nothing."""


@dataclass
class Served:
    """A world behind a real port, and what is in it."""

    world: object
    url: str
    aysel: object
    market: object
    template: object
    sensitive: object
    agreement: object
    stopped: object
    paused: object
    record: object
    import_id: object
    staged_id: object
    table_id: object
    notice: str

    def invite(self):
        """Return an invitation that nobody has opened."""
        return self.market.invite(self.template, "K-20431-0017")

    def limited_link(self):
        """Return a link as a letter to whoever lost the passphrase brings it."""
        made = self.world.services.limited_sign_ins.make_link(self.aysel.vault_id)
        return f"/limited/link/{made.text()}"

    def ask(self, template=None, **members):
        """Return a link as an organisation sends it."""
        details = self.market.details(template or self.template, **members)
        uri, _ = self.world.push(self.market, details)
        return self.market.client.authorization_url(uri)


@pytest.fixture(scope="session")
def served(stores):
    """Serve a world on a free port of this machine."""
    with ExitStack() as stack:
        store = stack.enter_context(stores.migrated("sqlite"))
        server = make_server("127.0.0.1", 0, app=None, threaded=True, request_handler=_Quiet)
        stack.callback(server.server_close)
        # A name, so that browsers make passkeys here (P-37).
        url = f"http://localhost:{server.server_port}"
        settings = replace(store.settings, server=replace(store.settings.server, issuer=url))
        world = stack.enter_context(world_on(Store(store.kind, settings, store.uow)))
        server.app = world.app
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        stack.callback(thread.join)
        stack.callback(server.shutdown)
        yield _populated(world, url)


def _populated(world, url):
    aysel = world.person("aysel")
    records = aysel.records
    records.save(Draft("profile", {"given_name": "Aysel", "family_name": "Məmmədova"}))
    record = records.save(Draft("contact", {"email": "aysel@poct.example"}))
    record = records.save(Draft("contact", {"email": "a@poct.example"}, record.id, record.version))
    records.save(Draft("contact", {"phone": "+994501234567"}))
    market = world.organisation("Xəzər Market")
    template = market.publish(
        required=["profile.given_name", "contact.email"],
        optional=["contact.phone", "addresses.locality", "health.conditions"],
    )
    sensitive = market.publish(required=["health.conditions", "transactions.amount"])
    shared = world.connect(aysel, market, template, optional=["contact.phone"])
    assert shared.get("/v1/records").status_code == 200
    bank = world.organisation("Günəş Bank")
    stopped = world.connect(aysel, bank, bank.publish(required=["profile.given_name"]))
    stopped.withdraw()
    clinic = world.organisation("Sağlam Klinika")
    paused = world.connect(aysel, clinic, clinic.publish(required=["profile.given_name"]))
    world.services.pauses.pause(aysel.visitor.vault, paused.agreement_id)
    kredit = world.organisation("Tez Kredit")
    refused = kredit.publish(required=["profile.given_name"])
    uri, _ = world.push(kredit, kredit.details(refused))
    opened = world.open_request(aysel, kredit, uri)
    world.refuse(aysel, opened)
    imports = world.services.imports(aysel.visitor)
    import_id = imports.stage("vcard", CARDS)
    imports.advance(import_id)
    return Served(
        world,
        url,
        aysel,
        market,
        template,
        sensitive,
        shared.agreement_id,
        stopped.agreement_id,
        paused.agreement_id,
        record.id,
        import_id,
        imports.stage("vcard", CARDS),
        imports.tables.hold("Tarix;Alan;Məbləğ\n01.02.2026;Kafe;-3,50\n31.02.2026;?;1\n".encode()),
        opened[2],
    )


@pytest.fixture(scope="session")
def chromium():
    """Start Chromium once."""
    with sync_playwright() as playwright:
        path = shutil.which("chromium") or shutil.which("chromium-browser")
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium, served):
    """Open pages in windows of their own; what the console complains of fails the test."""
    with ExitStack() as stack:
        complaints = []

        @contextmanager
        def opened(**options):
            context = chromium.new_context(base_url=served.url, **options)
            page = context.new_page()
            page.on("console", lambda told: _note(complaints, told))
            page.on("pageerror", lambda error: complaints.append(str(error)))
            try:
                yield page
            finally:
                context.close()

        yield lambda **options: stack.enter_context(opened(**options))
        assert complaints == []


def _note(complaints, told):
    # An error page is an answer like any other to us; Chromium reports it.
    if told.type in {"error", "warning"} and "Failed to load resource" not in told.text:
        complaints.append(told.text)


def sign_in(page, login="aysel"):
    """Sign in as a person does."""
    page.goto("/sign-in")
    page.fill("#login", login)
    page.fill("#passphrase", PASSPHRASE)
    page.click("main button")
    page.wait_for_url("**/")
