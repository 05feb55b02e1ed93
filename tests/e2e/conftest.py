"""A world on SQLite, and browsers in it."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from tests.support.web_browser import WebBrowser
from tests.support.worlds import TickingClock, world_on


@pytest.fixture
def clock():
    """Give the clock of `world`."""
    return TickingClock()


@pytest.fixture
def world(sqlite_store, clock):
    """Give a fresh world."""
    with world_on(sqlite_store, clock=clock) as world:
        yield world


@pytest.fixture
def new_browser(world):
    """Open browsers, each with cookies of its own."""
    with ExitStack() as stack:

        def open_browser(**options):
            browser = WebBrowser(world, **options)
            stack.callback(browser.close)
            return browser

        yield open_browser


@pytest.fixture
def browser(new_browser):
    """Give a browser in which nobody is signed in."""
    return new_browser()


@pytest.fixture
def aysel(world):
    """Give a person with a vault."""
    return world.person("aysel")


@pytest.fixture
def hers(aysel, browser):
    """Give a browser in which Aysel is signed in and has unlocked her vault."""
    assert browser.sign_in(aysel.login).status == 303
    return browser
