"""Attempts by address: whose word is believed about where one comes from (SEC-S10, SEC-S53)."""

from __future__ import annotations

from dataclasses import replace

import httpx
import pytest

from api import sources
from tests.support.stores import Store
from tests.support.web_browser import WebBrowser
from tests.support.worlds import world_on

WRONG = "never was the passphrase of anybody"
MALLORY, OTHER = "81.21.80.1", "81.21.80.2"
PROXY = "10.0.0.7"


@pytest.fixture
def world(sqlite_store, clock):
    """Give a world behind a proxy, in which an address has three attempts."""
    settings = sqlite_store.settings
    settings = replace(
        settings,
        server=replace(settings.server, trusted_proxies="10.0.0.0/24,2001:db8::1"),
        vault=replace(settings.vault, address_attempts_per_quarter_hour=3),
    )
    with world_on(Store("sqlite", settings, sqlite_store.uow), clock=clock) as world:
        yield world


def source_of(world, peer, *forwarded):
    """Return what a request would be counted under."""
    headers = [("X-Forwarded-For", line) for line in forwarded]
    with world.app.test_request_context(environ_base={"REMOTE_ADDR": peer}, headers=headers):
        return sources.source()


def browser_at(world, peer, forwarded=None):
    browser = WebBrowser(world, transport=httpx.WSGITransport(app=world.app, remote_addr=peer))
    if forwarded:
        browser.http.headers["X-Forwarded-For"] = forwarded
    return browser


def test_an_address_that_tries_many_names_is_told_to_wait_and_others_are_not(world):
    aysel = world.person("aysel")
    mallory = browser_at(world, MALLORY)
    for name in ("nobody", "anybody", "somebody"):
        assert mallory.sign_in(name, WRONG).status == 422
    full = mallory.sign_in(aysel.login)

    assert full.status == 429
    assert 0 < int(full.response.headers["Retry-After"]) <= 901
    assert "Try again in 15 minutes" in full.text
    recover = mallory.submit(mallory.get("/recover"), "code", login=aysel.login, code="x")
    assert recover.status == 429
    assert browser_at(world, OTHER).sign_in(aysel.login).status == 303


def test_no_header_makes_an_address_another_sec_s53(world):
    """Mallory neither escapes the count nor has somebody else counted."""
    aysel = world.person("aysel")
    for number in range(3):
        browser_at(world, MALLORY, f"81.21.81.{number}").sign_in("nobody", WRONG)
    for number in range(3):
        browser_at(world, PROXY, f"{OTHER}, 81.21.82.1").sign_in(f"nobody {number}", WRONG)

    assert browser_at(world, MALLORY, "81.21.81.9").sign_in(aysel.login).status == 429
    assert browser_at(world, PROXY, f"9.9.9.9, {MALLORY}").sign_in(aysel.login).status == 429
    assert browser_at(world, PROXY, OTHER).sign_in(aysel.login).status == 303


@pytest.mark.parametrize(
    ("peer", "forwarded", "source"),
    [
        (MALLORY, [], MALLORY),
        (MALLORY, [OTHER], MALLORY),
        (PROXY, [OTHER], OTHER),
        (PROXY, [f"{MALLORY}, {OTHER}"], OTHER),
        (PROXY, [MALLORY, OTHER], OTHER),
        (PROXY, [f"{MALLORY}, {OTHER}, 10.0.0.8"], OTHER),
        (PROXY, ["2606:4700:1:2:3::4"], "2606:4700:1:2::/64"),
        (f"::ffff:{MALLORY}", [], MALLORY),
        (PROXY, [], None),
        (PROXY, ["unknown"], None),
        (PROXY, [f"{MALLORY}, unknown"], None),
        (PROXY, ["192.168.1.5"], None),
        ("127.0.0.1", [MALLORY], None),
        ("172.17.0.1", [MALLORY], None),
        ("", [MALLORY], None),
    ],
)
def test_the_source_is_the_last_that_no_trusted_proxy_stands_for(world, peer, forwarded, source):
    """SEC-S53: whoever is behind a proxy that is not named is not counted as one with the rest."""
    assert source_of(world, peer, *forwarded) == source
