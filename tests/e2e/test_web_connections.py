"""Connections, receipts, activity: seeing what is shared, and stopping it (CUX-24 to CUX-44)."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from api.worker import Worker
from consent import connections
from consent.formats import receipt as receipts
from consent.formats.encoding import b64u
from consent.verifier import cli as verifier
from consent.vocabulary import AgreementState
from pds.errors import NotFoundError
from pds.ids import random_uuid

REQUIRED = ("profile.given_name", "contact.email")
OPTIONAL = ("contact.phone", "addresses.locality")


@pytest.fixture
def market(world):
    """Give an organisation."""
    return world.organisation("Xəzər Market")


@pytest.fixture
def shared(world, aysel, market):
    """Give an agreement of Aysel's, with a part refused."""
    aysel.save("profile", given_name="Aysel")
    aysel.save("contact", email="aysel@poct.example")
    template = market.publish(required=REQUIRED, optional=OPTIONAL)
    return world.connect(aysel, market, template, optional=["contact.phone"])


def view_of(world, shared):
    """Return what the pages know of an agreement."""
    services, vault_id = world.services, shared.person.vault_id
    bucket, now = services.ids.bucket_of(vault_id), services.clock.now()
    with services.uow.read() as session:
        return connections.get(session, bucket, vault_id, shared.agreement_id, now=now)


def stop(browser, shared, **values):
    """Stop sharing as a person does: the page that asks, then its form."""
    page = browser.get(f"/connections/{shared.agreement_id}/stop")
    return browser.submit(page, "confirm", **values)


def test_nobody_reading_is_said_with_how_that_begins(hers):
    """UI-23"""
    assert "Nobody reads from your vault" in hers.get("/connections").text


def test_a_card_tells_all_that_matters(hers, shared):
    """CUX-30"""
    assert shared.get("/v1/records").status_code == 200
    page = hers.get("/connections").text

    for words in (
        "Xəzər Market",
        "Active",
        "Contact details",
        "We want your contact details so that we can keep your card.",
        "1 March 2026",
        "31 March 2026",
        "1 March 2026, 16:00",  # in Baku's time (UI-24)
    ):
        assert words in page
    assert re.search(r"<dt>Accesses</dt><dd>1</dd>", page)
    assert "active" not in re.sub(r"<[^>]+>", "", page)  # no raw state (CUX-29)


def test_connections_are_one_click_from_every_page(hers):
    """CUX-26"""
    for path in ("/vault", "/activity", "/settings", "/help"):
        assert 'href="/connections"' in hers.get(path).text


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("q=xezer", True),
        ("q=bank", False),
        ("state=active", True),
        ("state=suspended", False),
        ("cluster=contact_details", True),
        ("cluster=health", False),
        ("order=expiry", True),
        ("from=20", False),
        ("from=nonsense", True),
    ],
)
def test_connections_can_be_filtered(hers, shared, query, found):
    """CUX-28"""
    page = hers.get(f"/connections?{query}")

    assert (f'href="/connections/{shared.agreement_id}"' in page.text) is found


def test_a_connection_shows_what_is_shared_and_what_was_not_agreed(hers, shared):
    """CUX-5, CUX-31"""
    page = hers.get(f"/connections/{shared.agreement_id}").text
    agreed, _, denied = page.partition("Not shared, although asked for")

    assert "Phone" in agreed
    assert "City" in denied
    assert "The organisation connected" in page
    assert "Consent given" in page


def test_every_access_stands_in_the_history_with_its_log_entry(world, hers, shared):
    """CUX-31"""
    answer = shared.get("/v1/records")
    reference = answer.headers["PDS-Log-Entry"]
    path = f"/connections/{shared.agreement_id}"

    waiting = hers.get(path).text
    Worker(world.services).turn()
    signed = hers.get(path).text

    assert reference in waiting
    assert "The organisation read data" in waiting
    assert "Waiting for the log" in waiting
    assert "Waiting for the log" not in signed
    assert "In the log at place" in signed


def test_stopping_takes_two_steps_and_works_at_once(hers, shared):
    """CUX-35, CUX-38, CUX-39"""
    detail = hers.get(f"/connections/{shared.agreement_id}")
    assert f'href="/connections/{shared.agreement_id}/stop"' in detail.text
    asked = hers.get(f"/connections/{shared.agreement_id}/stop")
    assert shared.get("/v1/records").status_code == 200

    done = hers.submit(asked, "confirm", request_deletion="yes")
    after = shared.get("/v1/records")

    assert done.location == f"/connections/{shared.agreement_id}"
    assert after.status_code == 403
    assert after.json()["type"].endswith("/consent-withdrawn")
    page = hers.get(done.location).text
    assert "Sharing has stopped" in page
    assert "Consent withdrawn" in page
    assert "Delete what it received" in page
    assert "No longer use your data" in page
    assert "Tell those to whom" not in page  # nobody was named in the agreement
    assert page.count("Answer awaited") == 2
    assert "Stop sharing</a>" not in page


def test_the_question_says_what_stops_and_what_stays_and_offers_deletion(hers, shared):
    """CUX-36, CUX-37"""
    page = hers.get(f"/connections/{shared.agreement_id}/stop")

    assert "What stops, at once" in page.text
    assert "What they may keep" in page.text
    assert "Deleted within 30 days." in page.text
    assert page.page.form("confirm").fields["request_deletion"] == ["yes"]
    assert "reason" not in page.page.form("confirm").names


def test_stopping_needs_no_unlocked_vault(hers, shared):
    """P-16, TAK-41"""
    hers.lock()

    assert stop(hers, shared).status == 303
    assert shared.get("/v1/records").status_code == 403


def test_stopping_without_the_second_step_changes_nothing(hers, shared):
    path = f"/connections/{shared.agreement_id}/stop"
    answer = hers.post(path, {"csrf": hers.token()})

    assert answer.location == path
    assert shared.get("/v1/records").status_code == 200


def pause(browser, shared):
    """Press the button that lets sharing rest."""
    path = f"/connections/{shared.agreement_id}/pause"
    assert f'action="{path}"' in browser.get(f"/connections/{shared.agreement_id}").text
    return browser.post(path, {"csrf": browser.token()})


def test_pausing_takes_one_click_and_works_at_once_even_while_locked(hers, shared):
    """TAK-41, P-25"""
    hers.lock()

    done = pause(hers, shared)

    answer = shared.get("/v1/records")
    assert (answer.status_code, answer.json()["type"].rpartition("/")[2]) == (
        403,
        "consent-paused",
    )
    page = hers.get(done.location).text
    for words in ("Sharing is paused.", "Paused", "Sharing paused", "You paused sharing"):
        assert words in page
    assert "Stop sharing" in page
    cards = hers.get("/connections").text
    assert f'href="/connections/{shared.agreement_id}/resume"' in cards
    assert f"/connections/{shared.agreement_id}/pause" not in cards


def test_resuming_says_what_may_be_read_again_and_asks_once(hers, shared):
    pause(hers, shared)
    path = f"/connections/{shared.agreement_id}/resume"
    asked = hers.get(path)
    assert hers.post(path, {"csrf": hers.token()}).location == path
    assert shared.get("/v1/records").status_code == 403

    done = hers.submit(asked, "confirm")

    assert "Phone" in asked.text
    assert "31 March 2026" in asked.text
    assert shared.get("/v1/records").status_code == 200
    page = hers.get(done.location).text
    assert "Sharing goes on, on the same terms." in page
    assert "Sharing resumed" in page
    assert hers.get(path).location == done.location


def test_an_ended_agreement_is_neither_paused_nor_resumed(hers, shared):
    """CM-6"""
    stop(hers, shared)
    path = f"/connections/{shared.agreement_id}"

    for step in ("pause", "resume"):
        answer = hers.post(f"{path}/{step}", {"csrf": hers.token(), "confirm": "yes"})
        assert "has ended already" in hers.get(answer.location).text
    assert shared.get("/v1/records").json()["type"].endswith("/consent-withdrawn")


def test_a_receipt_tells_a_resumed_consent_from_a_given_one(hers, shared):
    pause(hers, shared)
    hers.submit(hers.get(f"/connections/{shared.agreement_id}/resume"), "confirm")
    texts = [hers.get(path).text for path in receipt_paths(hers, "/receipts")]

    assert re.search(r"Consent given:.*Sharing paused:.*Sharing resumed:", texts[0], re.DOTALL)


def test_deletion_is_asked_for_only_if_the_person_leaves_the_tick(world, hers, shared):
    page = hers.get(f"/connections/{shared.agreement_id}/stop")
    hers.submit(page, "confirm", leave_out=("request_deletion",))

    assert view_of(world, shared).deletion.asked_by_person is False


def test_a_deletion_that_is_late_is_called_overdue(world, hers, shared, clock):
    """CM-7"""
    stop(hers, shared)
    clock.move(days=31)
    hers.sign_in(shared.person.login)

    page = hers.get(f"/connections/{shared.agreement_id}")
    assert page.text.count("Overdue") == 2
    assert "Deletion is overdue" in hers.get("/connections/history").text
    assert "privacy@xezer.example" in page.text
    assert view_of(world, shared).deletion.state == "overdue"


def test_what_ended_moves_to_the_history(hers, shared):
    """CUX-27"""
    stop(hers, shared)
    link = f'href="/connections/{shared.agreement_id}"'

    assert link not in hers.get("/connections").text
    assert link in hers.get("/connections/history").text
    assert "Stopped by you" in hers.get("/connections/history").text


def test_an_agreement_past_its_end_is_expired_before_any_worker_says_so(world, shared, clock):
    clock.move(days=31)
    view = view_of(world, shared)

    assert view.state is AgreementState.EXPIRED
    assert not view.is_current
    assert view.ended_at == view.expires_at


def test_a_consent_that_nobody_uses_is_pointed_out(world, aysel, market):
    """CUX-32"""
    template = market.publish(required=["profile.given_name"])
    shared = world.connect(aysel, market, template, duration="P365D")
    view = view_of(world, shared)

    assert not view.is_unused(view.granted_at + timedelta(days=89))
    assert view.is_unused(view.granted_at + timedelta(days=91))


def test_an_eager_organisation_is_pointed_out(world, aysel, market, hers):
    """CUX-32"""
    aysel.save("profile", given_name="Aysel")
    access = {"mode": "on_change", "fetches_per_day": 5}
    template = market.publish(required=["profile.given_name"], access=access)
    shared = world.connect(aysel, market, template)
    for _ in range(4):
        assert shared.get("/v1/records").status_code == 200

    assert "close to what was agreed" in hers.get("/connections").text


def test_everything_can_be_stopped_in_one_go(world, aysel, hers):
    """CUX-44"""
    all_of_them = []
    for name in ("Xəzər Market", "Günəş Bank"):
        organisation = world.organisation(name)
        template = organisation.publish(required=["profile.given_name"])
        all_of_them.append(world.connect(aysel, organisation, template))
    page = hers.get("/connections/stop-all")
    done = hers.submit(page, "confirm")

    assert "Xəzər Market" in page.text
    assert "Günəş Bank" in page.text
    assert done.location == "/connections/history"
    assert [each.get("/v1/records").status_code for each in all_of_them] == [403, 403]


def test_another_persons_connection_looks_like_none(world, shared, new_browser):
    world.person("mallory")
    mallory = new_browser()
    mallory.sign_in("mallory")
    token = mallory.token()

    for agreement in (shared.agreement_id, random_uuid()):
        path = f"/connections/{agreement}"
        assert mallory.get(path).status == 404
        assert mallory.get(f"{path}/stop").status == 404
        assert mallory.get(f"{path}/resume").status == 404
        for step in ("stop", "pause", "resume"):
            assert mallory.post(f"{path}/{step}", {"csrf": token, "confirm": "yes"}).status == 404
    assert shared.get("/v1/records").status_code == 200


def test_connections_of_another_bucket_or_vault_are_not_found(world, shared):
    vault = shared.person.visitor.vault
    now = world.services.clock.now()
    with world.services.uow.read() as session, pytest.raises(NotFoundError):
        connections.get(session, vault.bucket, random_uuid(), shared.agreement_id, now=now)


def receipt_paths(browser, page):
    """Return the receipts that a page links to."""
    return re.findall(r'href="(/receipts/[0-9a-f-]{36})"', browser.get(page).text)


def test_a_receipt_is_there_in_words_and_as_the_signed_document(world, hers, shared):
    """CUX-24, CUX-25, CUX-33"""
    path = receipt_paths(hers, f"/connections/{shared.agreement_id}")[0]
    page = hers.get(path)
    document = hers.get(f"{path}?format=json")

    for words in ("Consent given", "Xəzər Market", "Phone", "Not agreed", "City", "/connections"):
        assert words in page.text
    assert document.response.headers["Content-Disposition"].startswith("attachment")
    issuer = world.services.receipts
    keys = {issuer.kid: issuer.key.public_key().public_bytes_raw()}
    receipts.verify(json.loads(document.response.content), keys)


def test_a_receipt_is_given_at_the_end_too_and_needs_no_unlocked_vault(hers, shared):
    """CUX-24"""
    stop(hers, shared)
    hers.lock()
    texts = [hers.get(path).text for path in receipt_paths(hers, "/receipts")]

    assert len(texts) == 2
    assert "The organisation owes" in texts[0]


@pytest.mark.usefixtures("shared")
def test_another_persons_receipt_looks_like_none(world, hers, new_browser):
    path = receipt_paths(hers, "/receipts")[0]
    world.person("mallory")
    mallory = new_browser()
    mallory.sign_in("mallory")

    assert mallory.get(path).status == 404
    assert mallory.get(f"{path}?format=json").status == 404


def test_anyone_may_read_a_notice_by_its_hash(world, shared, new_browser):
    """P-28"""
    sha256 = view_of(world, shared).notice_sha256
    page = new_browser().get(f"/notices/{sha256}")
    document = new_browser().get(f"/notices/{sha256}?format=json")

    assert "We want your contact details" in page.text
    assert "aysel@poct.example" not in page.text
    assert json.loads(document.response.content)["organisation"]["name"] == "Xəzər Market"
    assert new_browser().get(f"/notices/{'0' * 64}").status == 404


@pytest.mark.usefixtures("shared")
def test_activity_lists_what_happened_newest_first(hers):
    page = hers.get("/activity").text

    assert page.index("The organisation connected") < page.index("You allowed a request")
    assert page.index("You allowed a request") < page.index("The vault was created")
    assert "opened for you" in page


def sign(world):
    worker = Worker(world.services)
    worker.turn()
    worker.stop()


@dataclass
class Stranger:
    """Someone who takes files from a browser and verifies them with keys of their own (P-34)."""

    folder: Path
    keys: list[str]

    def take(self, browser, path, name):
        answer = browser.get(path)
        assert answer.response.headers["Content-Disposition"].startswith("attachment")
        (self.folder / name).write_bytes(answer.response.content)
        return str(self.folder / name)

    def verifies(self, *words):
        return verifier.main([*words, *self.keys]) == 0


@pytest.fixture
def stranger(world, tmp_path):
    issuer = world.services.receipts
    public = b64u(issuer.key.public_key().public_bytes_raw())
    jwk = {"kty": "OKP", "crv": "Ed25519", "kid": issuer.kid, "x": public}
    (tmp_path / "keys.json").write_text(json.dumps({"keys": [jwk]}))
    (tmp_path / "vkeys").write_text(world.services.log_signer.verifier.to_text())
    keys = ["--vkey", str(tmp_path / "vkeys"), "--receipt-key", str(tmp_path / "keys.json")]
    return Stranger(tmp_path, keys)


def test_each_entry_can_be_proved_with_what_only_its_owner_opens(
    world, hers, shared, stranger, new_browser
):
    """LOG-25, P-32: the waiting, the proof, the private part in it, and whose it is."""
    assert shared.get("/v1/records").status_code == 200
    waiting = hers.get("/activity").text
    assert "Waiting for the log" in waiting
    assert "Download proof" not in waiting
    sign(world)
    page = hers.get("/activity").text
    assert "What a proof proves" in page
    for words in ("The organisation read", "You allowed a request", "The vault was created"):
        (entry,) = [each for each in page.split('<li class="entry">')[1:] if words in each]
        path = re.search(r'href="(/activity/[0-9a-f-]{36}/proof)"', entry)[1]
        file = stranger.take(hers, path, "proof.json")
        assert stranger.verifies(file), words
        last = json.loads(Path(file).read_text())["entries"][-1]
        assert last["private"] is not None or "vault" in words

    mallory = stranger_to(world, new_browser)
    assert mallory.get(path).status == 404
    hers.lock()
    assert hers.get(path).status == 303  # to unlock: the private parts are for their owner


def test_a_receipt_has_a_proof_beside_it_once_its_entry_is_signed(
    world, hers, shared, stranger, new_browser
):
    """P-31: the receipt never changes; its proof is a file of its own."""
    path = receipt_paths(hers, f"/connections/{shared.agreement_id}")[0]
    assert "The proof comes with" in hers.get(path).text
    assert hers.get(f"{path}/proof").status == 404
    sign(world)
    assert f"{path}/proof" in hers.get(path).text
    receipt = stranger.take(hers, f"{path}?format=json", "receipt.json")
    proof = stranger.take(hers, f"{path}/proof", "receipt.tlog-proof")

    assert stranger.verifies(receipt, "--proof", proof)
    assert stranger_to(world, new_browser).get(f"{path}/proof").status == 404


def stranger_to(world, new_browser):
    """Return the browser of somebody else."""
    world.person("mallory")
    mallory = new_browser()
    mallory.sign_in("mallory")
    return mallory


@pytest.mark.usefixtures("shared")
def test_activity_keeps_what_is_sealed_from_a_locked_session(hers):
    """P-32"""
    hers.lock()
    page = hers.get("/activity").text

    assert "You allowed a request" in page
    assert "Details are sealed" in page
    assert "opened for you" not in page


def test_activity_has_pages(aysel, hers):
    for number in range(35):
        aysel.save("contact", email=f"number{number}@poct.example")
    first = hers.get("/activity")
    following = re.search(r'href="(/activity\?before=[0-9a-f-]{36})"', first.text)[1]

    assert "The vault was created" not in first.text
    assert "The vault was created" in hers.get(following).text
    assert "Nothing more" in hers.get(f"/activity?before={'0' * 8}-0000-0000-0000-{'0' * 12}").text


@pytest.mark.usefixtures("shared")
def test_activity_is_ones_own(world, new_browser):
    world.person("mallory")
    mallory = new_browser()
    mallory.sign_in("mallory")

    assert "You allowed a request" not in mallory.get("/activity").text


def test_a_person_sees_what_was_allowed_then(hers, shared, clock):
    """LEAD-13"""
    pause(hers, shared)
    clock.move(minutes=10)
    hers.submit(hers.get(f"/connections/{shared.agreement_id}/resume"), "confirm")
    clock.move(minutes=10)
    stop(hers, shared)

    def then(at):
        return re.sub(r"\s+", " ", hers.get(f"/connections/then?at={at}").text)

    assert "/connections/then" in hers.get("/connections/history").text
    assert "There was no agreement yet." in then("2026-03-01T15:00")
    assert "Could read nothing: sharing was paused" in then("2026-03-01T16:05")
    assert "Could read:" in then("2026-03-01T16:15")
    assert "Phone" in then("2026-03-01T16:15")
    assert "Could read nothing: you had stopped sharing" in then("2026-03-01T16:30")
    assert "you had stopped sharing" in then("nonsense")
