"""The pages of whoever lost the passphrase: what they can do, and cannot (P-16, CUX-40)."""

from __future__ import annotations

import logging
import re

import pytest
from sqlalchemy import select

from consent.models import Event
from pds.ids import random_uuid
from pds.models import KeyWrap
from tests.e2e.test_web_forms import LIMITED, routes
from tests.support.mailbox import Mailbox, confirmed, limited_link, send_letters
from tests.support.statements import recorded
from tests.support.world import PASSPHRASE

LOST = "/lost-passphrase"


@pytest.fixture
def mailbox(world, aysel):
    return confirmed(world.services, aysel, Mailbox())


@pytest.fixture
def shared(world, aysel):
    """Give an agreement of Aysel's with an organisation."""
    aysel.save("contact", email="aysel@poct.example")
    market = world.organisation("Xəzər Market")
    return world.connect(aysel, market, market.publish(required=["contact.email"]))


@pytest.fixture
def path(world, aysel, mailbox):
    """Give the path of a link that Aysel was sent."""
    return limited_link(world.services, aysel.login, mailbox)


@pytest.fixture
def lost(browser, path):
    """Give a browser in which Aysel's link was used."""
    assert browser.submit(browser.get(path), "go").location == "/limited"
    return browser


def events(world):
    with world.services.uow.read() as session:
        return list(session.scalars(select(Event.name).order_by(Event.id)))


def without(text, *parts):
    text = re.sub(r'name="csrf" value="\w+"', "", text)
    for part in parts:
        text = text.replace(part, "")
    return text


def test_the_way_from_the_sign_in_says_first_what_is_possible(browser):
    """The recovery code comes first; without both the data is lost, and that is said."""
    assert f'href="{LOST}"' in browser.get("/sign-in").text
    page = browser.get(LOST).text

    assert page.index('href="/recover"') < page.index("You have neither")
    assert "nobody can read what is in your vault any more" in page
    assert f'href="{LOST}"' in browser.get("/recover").text


def test_known_and_unknown_names_get_the_same_answer(world, browser, mailbox):
    """SEC-S05, THR-11"""
    answers = []
    for login in ("aysel", "nobody", "aysel", "aysel", "aysel"):
        asked = browser.submit(browser.get(LOST), "login", login=login)
        answers.append((asked.status, asked.location, without(browser.follow(asked).text)))
        assert send_letters(world.services, mailbox).letters == []  # not in the request

    assert len(set(answers)) == 1
    assert answers[0][:2] == (303, f"{LOST}/asked")


def test_the_letter_s_link_leads_to_a_page_with_a_button_and_opening_it_spends_nothing(
    browser, new_browser, path
):
    """SEC-S45"""
    for _ in range(2):
        page = browser.get(path)
        assert page.status == 200
        assert "limited" not in str(browser.http.cookies)
    scanner = new_browser()
    assert scanner.http.head(path).status_code == 200

    assert browser.get("/limited").location == LOST
    assert browser.submit(browser.get(path), "go").location == "/limited"
    assert browser.get("/limited").status == 200


def test_a_link_is_spent_once_and_all_that_are_not_good_look_the_same(new_browser, lost, path):
    second = new_browser()
    texts = []
    for each in (path, path[:-1] + "x", "/limited/link/nonsense"):
        page = second.get(each)
        texts.append(without(page.text, each))
        posted = second.post(each, {"csrf": second.token()})
        assert (page.status, posted.status) == (404, 404)
    assert len(set(texts)) == 1
    assert "This link cannot be used" in texts[0]
    assert second.get("/limited").location == LOST
    assert 'href="/limited"' in lost.get(path).text  # for whoever presses twice


def test_the_link_is_in_no_log_and_goes_to_no_other_site(browser, path, caplog):
    """P-46"""
    caplog.set_level(logging.DEBUG)
    page = browser.get(path)
    browser.submit(page, "go")
    browser.get(path)

    ours = [each.getMessage() for each in caplog.records if not each.name.startswith("http")]
    assert not any(path.rpartition("/")[2] in each for each in ours)
    assert page.response.headers["Referrer-Policy"] == "same-origin"
    assert page.response.headers["Cache-Control"] == "no-store"
    assert re.findall(r'(?:src|href|action)="(?:https?:)?//', page.text) == []


@pytest.mark.usefixtures("shared")
def test_connections_are_listed_by_name_and_no_record_or_key_is_read(world, lost):
    with recorded(world) as found:
        page = lost.get("/limited").text

    assert "Xəzər Market" in page
    assert "Active" in page
    assert "aysel@poct.example" not in page
    assert "contact" not in page
    statements = " ".join([*found.reads, *(one for job in found.jobs for one in job)])
    assert "limited_sign_ins" in statements
    for table in ("records", "record_versions", "key_wraps", "deposits", "event_payloads"):
        assert not re.search(rf"\b{table}\b", statements), table


def test_one_is_stopped_in_two_steps_at_once_and_logged(world, lost, shared, mailbox):
    asked = lost.get(f"/limited/{shared.agreement_id}/stop")
    path = f"/limited/{shared.agreement_id}/stop"
    assert lost.post(path, {"csrf": lost.token()}).location == path
    assert shared.get("/v1/records").status_code == 200

    done = lost.submit(asked, "confirm", request_deletion="yes")

    assert done.location == "/limited"
    assert shared.get("/v1/records").json()["type"].endswith("/consent-withdrawn")
    page = lost.get("/limited").text
    assert "Sharing has stopped" in page
    assert "Nobody can read from your vault" in page
    for name in ("consent.withdrawn", "erasure.requested", "vault.limited_stopped"):
        assert name in events(world)
    assert "You stopped sharing" in send_letters(world.services, mailbox).subjects()
    lost.post(path, {"csrf": lost.token(), "confirm": "yes"})  # once more changes nothing
    assert events(world).count("vault.limited_stopped") == 1


def test_all_are_stopped_at_once(world, aysel, lost, shared):
    bank = world.organisation("Günəş Bank")
    second = world.connect(aysel, bank, bank.publish(required=["contact.email"]))
    assert 'href="/limited/stop-all"' in lost.get("/limited").text
    asked = lost.get("/limited/stop-all")
    assert lost.post("/limited/stop-all", {"csrf": lost.token()}).location == "/limited/stop-all"
    assert shared.get("/v1/records").status_code == 200

    lost.submit(asked, "confirm", leave_out=["request_deletion"])

    for each in (shared, second):
        assert each.get("/v1/records").status_code == 403
    assert "erasure.requested" not in events(world)
    assert lost.get("/limited/stop-all").location == "/limited"


def test_another_vault_s_connection_is_as_one_that_is_not_there(world, lost):
    leyla = world.person("leyla")
    leyla.save("contact", email="leyla@poct.example")
    bank = world.organisation("Günəş Bank")
    theirs = world.connect(leyla, bank, bank.publish(required=["contact.email"]))
    answers = []
    for agreement_id in (theirs.agreement_id, random_uuid()):
        path = f"/limited/{agreement_id}/stop"
        tried = lost.get(path), lost.post(path, {"csrf": lost.token(), "confirm": "yes"})
        answers += [(each.status, without(each.text, str(agreement_id))) for each in tried]

    assert answers[:2] == answers[2:]
    assert {status for status, _ in answers} == {404}
    assert theirs.get("/v1/records").status_code == 200


def test_every_other_page_takes_it_for_a_visitor_who_is_signed_out(world, lost, new_browser):
    """Nothing but its own pages looks at the cookie: no record, no setting, no credential."""
    stranger = new_browser()
    for endpoint, path in routes(world, "GET"):
        if endpoint not in LIMITED:
            mine, theirs = lost.get(path), stranger.get(path)
            assert (mine.status, mine.location) == (theirs.status, theirs.location), path
    own = {"web.limited.stop", "web.limited.stop_all", "web.limited.end", "web.limited.ask"}
    own |= {"web.limited.delete", "web.limited.keep"}
    for endpoint, path in routes(world, "POST"):
        if endpoint not in own:
            mine = lost.post(path, {"csrf": lost.token()})
            theirs = stranger.post(path, {"csrf": stranger.token()})
            assert (mine.status, mine.location) == (theirs.status, theirs.location), path


def test_its_cookie_is_no_sign_in_and_unlocks_nothing(world, lost, shared):
    """P-15: also under the name of the other cookies."""
    with world.services.uow.read() as session:
        before = set(session.scalars(select(KeyWrap.blob).where(KeyWrap.by_kind == "unlock")))
    text = lost.http.cookies["pds_r"]
    for name in ("pds_s", "pds_u"):
        lost.http.cookies.set(name, text, domain="127.0.0.1")

    for path in ("/vault", "/connections", "/settings", f"/connections/{shared.agreement_id}"):
        assert lost.get(path).location.startswith("/sign-in"), path
    with world.services.uow.read() as session:
        after = set(session.scalars(select(KeyWrap.blob).where(KeyWrap.by_kind == "unlock")))
    assert after == before


def test_it_ends_by_hand_also_for_whoever_kept_the_cookie(lost):
    kept = lost.http.cookies["pds_r"]
    ended = lost.post("/limited/end", {"csrf": lost.token()})
    assert ended.location == "/"
    lost.http.cookies.set("pds_r", kept, domain="127.0.0.1")

    assert lost.get("/limited").location == LOST


def test_the_next_sign_in_says_that_it_was_used_once_and_ends_it(lost, new_browser):
    hers = new_browser()
    told = "A link for a lost passphrase was used since you last signed in"

    assert told in hers.follow(hers.sign_in()).text
    assert lost.get("/limited").location == LOST
    hers.post("/sign-out", {"csrf": hers.token()})
    assert told not in hers.follow(hers.sign_in()).text


@pytest.mark.usefixtures("lost")
def test_whoever_finds_the_recovery_code_again_is_told(aysel, new_browser):
    hers = new_browser()
    form = {"login": aysel.login, "code": aysel.recovery_code, "new_passphrase": PASSPHRASE + " x"}
    hers.submit(hers.get("/recover"), "code", **form)

    assert "A link for a lost passphrase was used" in hers.get("/vault").text


def test_no_other_site_asks_spends_or_stops(browser, path, shared):
    """SEC-S50"""
    evil = "https://evil.example"
    page = browser.get(path)
    assert browser.submit(page, "go", origin=evil).status == 400
    assert browser.submit(browser.get(LOST), "login", login="aysel", origin=evil).status == 400
    browser.submit(page, "go")
    stop = browser.get(f"/limited/{shared.agreement_id}/stop")

    assert browser.submit(stop, "confirm", origin=evil).status == 400
    assert shared.get("/v1/records").status_code == 200


def test_deletion_is_asked_for_with_a_tick_and_taken_back(world, aysel, lost, new_browser, mailbox):
    """By the page itself, or by whoever signs in; a full sign-in asks for the passphrase again."""
    page = lost.get("/limited/delete")
    assert "For 7 days nothing changes" in page.text
    assert lost.submit(page, "sure").status == 422
    assert world.services.deletions.pending(aysel.visitor.vault) is None
    assert lost.submit(page, "sure", sure="yes").location == "/limited"
    assert "Your vault will be deleted on" in lost.get("/limited").text
    assert lost.get("/limited/delete").location == "/limited"
    lost.post("/limited/keep", {"csrf": lost.token()})
    assert world.services.deletions.pending(aysel.visitor.vault) is None
    lost.submit(page, "sure", sure="yes")

    assert 'href="/lost-passphrase"' in new_browser().get("/vault-deletion").text
    hers = new_browser()
    hers.sign_in()
    assert "Your vault will be deleted on" in hers.get("/vault").text
    shown = hers.get("/vault-deletion")
    assert "It was asked for without the passphrase" in shown.text
    assert hers.follow(hers.post("/vault-deletion/cancel", {"csrf": hers.token()})).status == 200
    assert world.services.deletions.pending(aysel.visitor.vault) is None
    form = hers.get("/vault-deletion")
    assert hers.submit(form, "sure", sure="yes", passphrase="not it at all").status == 422
    assert hers.submit(form, "sure", passphrase=PASSPHRASE).status == 422
    assert world.services.deletions.pending(aysel.visitor.vault) is None
    assert hers.submit(form, "sure", sure="yes", passphrase=PASSPHRASE).status == 303
    assert not world.services.deletions.pending(aysel.visitor.vault).is_limited
    assert "Your vault is kept" in send_letters(world.services, mailbox).subjects()
    assert new_browser().get("/vault-deletion/done").status == 200
