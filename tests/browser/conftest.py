"""A served world, with one person's life in it, and Chromium to look at it with."""

from __future__ import annotations

import shutil
import threading
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import pytest
from playwright.sync_api import sync_playwright
from werkzeug.serving import WSGIRequestHandler, make_server

from tests.support.life import live
from tests.support.stores import Store
from tests.support.world import PASSPHRASE
from tests.support.worlds import world_on


def pytest_collection_modifyitems(items):
    """Everything here needs Chromium."""
    for item in items:
        if "tests/browser/" in item.nodeid:
            item.add_marker("browser")


class _Quiet(WSGIRequestHandler):
    """Says nothing of each request: a failing test has enough to say."""

    def log_request(self, *_args):
        """Say nothing."""


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
        yield live(world, url)


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
