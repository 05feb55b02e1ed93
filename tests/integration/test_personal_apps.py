"""Programs of a person for their own vault: what they reach, and all that they do not (D1, D9)."""

from __future__ import annotations

import pytest
from sqlalchemy import select, update

from consent.models import Event
from pds import personal_apps
from pds.errors import (
    ConflictError,
    LimitExceededError,
    NotFoundError,
    ValidationFailedError,
)
from pds.ids import random_uuid
from pds.models import KeyWrap, PersonalApp
from pds.personal_apps import MOST, Wish
from tests.support.oauth_client import OMIT, Client, jkt, new_key
from tests.support.world import PASSPHRASE

OWN = "/v1/own/records?collection=contact"
NEW = "violet anchor meadow castle pepper wagon"


class App:
    """A program with a key and a token."""

    def __init__(self, world, person, *, collections=("contact",), days=30, label="Calendar"):
        self.world, self.person, self.key = world, person, new_key()
        visitor = person.visitor
        wish = Wish(label, jkt(self.key), tuple(collections), days)
        secret = world.services.personal_apps.add(visitor.vault, visitor.open_vault, wish)
        self.token, self.id = secret.text(), secret.selector
        self.client = Client(
            world.http, "app", world.issuer, self.key, {}, dpop_key=self.key, clock=self._now
        )

    def _now(self):
        return self.world.services.clock.now().timestamp()

    def get(self, path=OWN, token=None, **options):
        return self.client.get(self.world.url(path), token or self.token, **options)

    def known(self):
        return self.world.services.personal_apps.list_of(self.person.visitor.vault)


@pytest.fixture
def app(world, aysel):
    aysel.save("contact", email="a@example.com")
    aysel.save("profile", given_name="Aysel")
    return App(world, aysel)


def events(world, name):
    with world.services.uow.read() as session:
        return list(session.scalars(select(Event).where(Event.name == name)))


def refused(answer):
    return answer.status_code, "a@example.com" in answer.text


def test_it_reads_what_its_owner_chose_and_each_read_is_logged(world, app):
    """D9, LOG-23: and the owner sees when it was used last."""
    answer = app.get()

    assert answer.status_code == 200
    (record,) = answer.json()["records"]
    assert record["data"] == {"email": "a@example.com"}
    assert answer.json()["next"] is None
    (event,) = events(world, "vault.app_read")
    assert answer.headers["PDS-Log-Entry"] == f"{event.stream}/{event.seq}"
    (known,) = app.known()
    assert (known.reads, known.used_at is not None) == (1, True)


def test_it_reads_no_collection_that_was_not_chosen(world, app):
    """Its keys open none: a row that says otherwise opens nothing."""
    assert app.get("/v1/own/records?collection=profile").status_code == 404
    assert app.get("/v1/own/records?collection=nothing").status_code == 404
    assert events(world, "vault.app_read") == []


@pytest.mark.tampers
def test_a_row_that_names_more_collections_opens_no_more(world, app):
    """P-9"""
    world.services.uow.write(
        lambda session: session.execute(
            update(PersonalApp).values(collections=["contact", "profile"])
        )
    )

    assert app.get("/v1/own/records?collection=profile").status_code == 404


def test_a_token_without_the_proof_of_its_key_opens_nothing(app):
    """RFC 9449 section 7.1"""
    stranger = new_key()
    url = app.world.url(OWN.partition("?")[0])
    foreign = app.client.proof("GET", url, key=stranger, access_token=app.token)
    used = app.client.proof("GET", url, access_token=app.token)
    without_hash = app.client.proof("GET", url)

    assert refused(app.get(proof=OMIT)) == (401, False)
    assert refused(app.get(proof=foreign)) == (401, False)
    assert refused(app.get(proof=without_hash)) == (401, False)
    assert app.get(proof=used).status_code == 200
    assert refused(app.get(proof=used)) == (401, False)
    assert refused(app.get(scheme="Bearer")) == (401, False)


@pytest.mark.tampers
def test_a_key_that_is_put_into_the_row_opens_nothing(world, app):
    """P-12: the wrap is bound to the key that its owner registered."""
    stranger = new_key()
    world.services.uow.write(
        lambda session: session.execute(update(PersonalApp).values(jkt=jkt(stranger)))
    )
    app.client.dpop_key = stranger

    assert refused(app.get()) == (500, False)


@pytest.mark.tampers
def test_a_longer_time_that_is_put_into_the_row_opens_nothing(world, app):
    later = app.known()[0].expires_at.replace(year=2030)
    world.services.uow.write(
        lambda session: session.execute(update(PersonalApp).values(expires_at=later))
    )

    assert refused(app.get()) == (500, False)


def test_it_ends_when_its_time_is_over(app, clock):
    clock.move(days=30)

    assert refused(app.get()) == (401, False)
    app.person.sign_in()
    assert app.known() == []


def test_it_ends_with_the_next_request_when_its_owner_ends_it(world, app):
    """D13: and needs no key of the vault for that (D15)."""
    assert app.get().status_code == 200
    world.services.personal_apps.remove(app.person.visitor.vault, app.id)

    assert refused(app.get()) == (401, False)
    assert app.known() == []
    with world.services.uow.read() as session:
        held = select(KeyWrap).where(KeyWrap.by_kind.in_(["app", "app-token"]))
        assert session.scalars(held).all() == []
        copies = select(KeyWrap).where(KeyWrap.wrapped_kind == "app")
        assert session.scalars(copies).all() == []


def test_keys_that_an_ended_app_held_are_renewed_and_others_get_the_new_ones(world, app):
    """TAK-43"""
    other = App(world, app.person, label="Backup")
    world.services.personal_apps.remove(app.person.visitor.vault, app.id)
    assert app.person.sign_in().rotated == ("contact",)
    app.person.save("contact", email="b@example.com")

    found = [each["data"]["email"] for each in other.get().json()["records"]]

    assert found == ["a@example.com", "b@example.com"]


def test_keys_that_an_app_held_are_renewed_when_its_time_is_over(app, clock):
    """TAK-43"""
    clock.move(days=30)

    assert app.person.sign_in().rotated == ("contact",)


def test_an_app_is_not_made_on_keys_that_were_renewed_meanwhile(world, app):
    visitor = app.person.visitor
    world.services.personal_apps.remove(visitor.vault, app.id)
    app.person.sign_in()
    wish = Wish("Late", jkt(new_key()), ("contact",), 30)

    with pytest.raises(ConflictError):
        world.services.personal_apps.add(visitor.vault, visitor.open_vault, wish)


def test_the_recovery_code_ends_them(world, app):
    """Whoever recovers may have been robbed: everything that opened the vault ends."""
    world.services.accounts.recover(app.person.login, app.person.recovery_code, NEW)

    assert refused(app.get()) == (401, False)


def test_a_new_passphrase_leaves_them(world, app):
    services = world.services
    services.accounts.change_passphrase(services.accounts.enter(app.person.login, PASSPHRASE), NEW)

    assert app.get().status_code == 200


def test_another_person_neither_sees_nor_ends_it(world, app):
    """SEC-S27: not yours and not there are the same."""
    mallory = world.person("mallory")
    apps = world.services.personal_apps

    assert apps.list_of(mallory.visitor.vault) == []
    for app_id in (app.id, random_uuid()):
        with pytest.raises(NotFoundError):
            apps.remove(mallory.visitor.vault, app_id)
    assert app.get().status_code == 200


def test_its_token_is_none_of_an_organisation_and_theirs_none_of_its(world, app, shop):
    shared = world.connect(app.person, shop, shop.publish(required=["contact.email"]))

    assert app.get("/v1/records").status_code == 401
    assert app.get("/v1/organisation").status_code == 401
    assert shared.get(OWN).status_code == 401
    assert shop.get(OWN, shop.organisation_token()).status_code == 401


def test_pages_follow_each_other_and_tell_later_what_was_deleted(app):
    app.person.save("contact", phone="+994501234567")
    first = app.get(f"{OWN}&limit=1").json()
    second = app.get(f"{OWN}&limit=1&after={first['next']}").json()
    records = app.person.records
    deleted = next(each for each in records.all(["contact"]) if "email" in each.data)
    records.delete(deleted.id, version=deleted.version)
    after = second["records"][0]["seq"]

    (told,) = app.get(f"{OWN}&after={after}").json()["records"]
    assert (told["id"], told["deleted"], "data" in told) == (str(deleted.id), True, False)
    assert [each["deleted"] for each in app.get().json()["records"]] == [False]


def test_a_malformed_query_is_explained(app):
    for query in ("", "?collection=contact&limit=0", "?collection=contact&after=-1"):
        assert app.get(f"/v1/own/records{query}").status_code == 422


def test_a_deleted_vault_is_read_no_more(world, app, clock):
    visitor = app.person.visitor
    world.services.deletions.ask(visitor.vault, is_limited=False, asks_erasure=False)
    clock.move(days=15)
    services = world.services
    services.uow.write(
        lambda session: services.deletions.carry_out(session, now=services.clock.now())
    )

    assert refused(app.get()) == (401, False)


def test_what_no_app_may_be_is_refused(world, aysel):
    for wrong in (
        {"label": " "},
        {"label": "x" * 61},
        {"collections": ()},
        {"collections": ("contact", "nothing")},
        {"days": 3650},
    ):
        with pytest.raises(ValidationFailedError):
            App(world, aysel, **wrong)


def test_there_is_an_end_to_how_many_there_are(world, aysel):
    for _ in range(MOST):
        App(world, aysel)
    with pytest.raises(LimitExceededError):
        App(world, aysel)


def test_what_reads_too_often_waits_and_costs_no_opening_of_records(app, monkeypatch):
    monkeypatch.setattr(personal_apps, "READS_A_QUARTER_HOUR", 1)
    assert app.get().status_code == 200
    opened = []
    monkeypatch.setattr(personal_apps, "_opened", lambda *given: opened.append(given))

    answer = app.get()

    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) > 0
    assert opened == []
