"""What is another person's looks like what is not there (SEC-S23), at every address with an id."""

from __future__ import annotations

import re

import pytest

from pds.ids import random_uuid
from pds.personal_apps import Wish
from tests.support.auditing import integrate
from tests.support.life import live
from tests.support.web_browser import WebBrowser
from tests.support.worlds import world_on

# Not one person's: a link's secret, a notice's hash, a kind of thing.
OF_NOBODY = {"token", "sha256", "code", "name"}
# Tests of their own look at these: they need a device, a link, an engagement, a file.
ELSEWHERE = ("web.passkeys.", "web.attachments.", "web.limited.", "web.auditor")


@pytest.fixture(scope="module")
def scene(stores):
    """Give browsers of Aysel and Mallory, and what is Aysel's, by its name in addresses."""
    with stores.migrated("sqlite") as store, world_on(store) as world:
        life = live(world, world.issuer)
        world.person("mallory")
        integrate(world)  # so that her entries have a proof to download
        aysel, mallory = WebBrowser(world), WebBrowser(world)
        aysel.sign_in("aysel")
        mallory.sign_in("mallory")
        yield aysel, mallory, ids_of(life, aysel)
        aysel.close()
        mallory.close()


def ids_of(life, browser):
    """Return the id of one thing of hers for each name of an argument."""
    event = re.search(r"/activity/([0-9a-f-]+)/proof", browser.get("/activity").text)
    session = re.search(r"/sessions/([0-9a-f-]+)/end", browser.get("/settings/sessions").text)
    return {
        "agreement_id": life.agreement,
        "record_id": life.record,
        "import_id": life.staged_id,
        "receipt_id": life.receipt,
        "event_id": event[1],
        "session": session[1],
        "unmasking": life.unmasking,
        "app": app_of(life),
    }


def app_of(life):
    """Let a program in, and return its id."""
    visitor = life.aysel.visitor
    wish = Wish("Calendar", "x" * 43, ("contact",), 30)
    apps = life.world.services.personal_apps
    return apps.add(visitor.vault, visitor.open_vault, wish).selector


def addresses(world, method, ids):
    """Return every page's address that names something of a person, filled with these ids."""
    found = []
    for rule in world.app.url_map.iter_rules():
        theirs = rule.arguments - OF_NOBODY
        if not rule.endpoint.startswith("web.") or rule.endpoint.startswith(ELSEWHERE):
            continue
        if theirs and method in rule.methods:
            path = rule.rule.replace("<name>", "contact")
            for argument in theirs:
                path = path.replace(f"<uuid:{argument}>", str(ids(argument)))
            found.append(path)
    assert len(found) > 5
    return found


def told(answer):
    """Return what an answer tells: all but the ids that were asked for."""
    shown = f"{answer.status} {answer.location} {answer.text}"
    return re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "", shown)


def test_a_stranger_gets_what_an_unknown_id_gets(scene):
    aysel, mallory, ids = scene
    foreign = addresses(mallory.world, "GET", ids.__getitem__)
    absent = addresses(mallory.world, "GET", lambda _: random_uuid())

    for theirs, none in zip(foreign, absent, strict=True):
        answer = mallory.get(theirs)
        assert answer.status == 404, theirs
        assert told(answer) == told(mallory.get(none)), theirs
        assert aysel.get(theirs).status < 400, theirs


def test_a_strangers_form_changes_nothing_and_gets_what_an_unknown_id_gets(scene):
    aysel, mallory, ids = scene
    kept = [
        f"/connections/{ids['agreement_id']}",
        f"/vault/contact/{ids['record_id']}",
        "/settings/apps",
    ]
    before = [told(aysel.get(path)) for path in kept]
    form = {"csrf": mallory.token(), "passphrase": "x", "version": "1"}
    foreign = addresses(mallory.world, "POST", ids.__getitem__)
    absent = addresses(mallory.world, "POST", lambda _: random_uuid())

    for theirs, none in zip(foreign, absent, strict=True):
        assert told(mallory.post(theirs, form)) == told(mallory.post(none, form)), theirs
    assert [told(aysel.get(path)) for path in kept] == before
