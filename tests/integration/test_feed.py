"""What a grant sees of a vault as it changes: snapshot, changes, deletions, paging (P-22, P-23)."""

from __future__ import annotations

import pytest

from pds.records import Draft
from tests.support.reading import Mirror, page, values

EMAIL, PHONE = "contact.email", "contact.phone"


@pytest.fixture
def aysel(world):
    return world.person()


@pytest.fixture
def shop(world):
    return world.organisation()


@pytest.fixture
def reads_email(world, aysel, shop):
    """Connect under a template that covers e-mail addresses, and not phones."""
    return world.connect(aysel, shop, shop.publish(required=[EMAIL]))


@pytest.fixture
def reads_names(world, aysel, shop):
    """Connect under a template that covers the given name only."""
    return world.connect(aysel, shop, shop.publish(required=["profile.given_name"]))


def change(person, opened, **data):
    return person.records.save(Draft(opened.collection, data, opened.id, opened.version))


def test_a_snapshot_is_the_feed_from_the_beginning(aysel, reads_email):
    """P-23."""
    aysel.save("contact", email="first@example.com")
    aysel.save("contact", email="second@example.com")

    body = page(reads_email)

    assert values(body, "email") == ["first@example.com", "second@example.com"]
    assert body["has_more"] is False


def test_after_a_cursor_only_what_changed_is_told(aysel, reads_email):
    """P-22."""
    mirror = Mirror(reads_email)
    aysel.save("contact", email="first@example.com")
    mirror.catch_up()
    aysel.save("contact", email="second@example.com")

    told = mirror.catch_up()

    assert [one["data"]["email"] for one in told] == ["second@example.com"]
    assert mirror.catch_up() == []


def test_records_outside_the_agreement_are_never_told(aysel, reads_email):
    """P-22, SEC-S24: a phone stands in the same collection and is not agreed."""
    mirror = Mirror(reads_email)
    mirror.catch_up()
    phone = aysel.save("contact", phone="+994501234567")
    aysel.save("identity", national_id="AZE12345678")
    assert mirror.catch_up() == []

    aysel.records.delete(phone.id, version=1)

    assert mirror.catch_up() == []


def test_an_edit_outside_the_agreement_stays_unseen(aysel, reads_names):
    """P-22: neither the record nor its version shows that something else changed."""
    mirror = Mirror(reads_names)
    person = aysel.save("profile", given_name="Aysel", job_title="nurse")
    (before,) = mirror.catch_up()

    person = change(aysel, person, given_name="Aysel", job_title="doctor")

    assert mirror.catch_up() == []
    (again,) = page(reads_names)["records"]
    assert again == before


def test_a_change_of_an_agreed_attribute_is_told_with_the_next_version(aysel, reads_names):
    mirror = Mirror(reads_names)
    person = aysel.save("profile", given_name="Aysel", job_title="nurse")
    (before,) = mirror.catch_up()

    change(aysel, person, given_name="Aysəl", job_title="nurse")

    (told,) = mirror.catch_up()
    assert told["data"] == {"given_name": "Aysəl"}
    assert told["version"] == before["version"] + 1
    assert told["id"] == before["id"]


def test_a_companion_goes_with_an_agreed_attribute_and_never_alone(aysel, reads_email):
    """P-21, P-22."""
    mirror = Mirror(reads_email)
    email = aysel.save("contact", email="a@example.com", label="work")
    phone = aysel.save("contact", phone="+994501234567", label="work")
    (told,) = mirror.catch_up()
    assert told["data"] == {"email": "a@example.com", "label": "work"}

    change(aysel, phone, phone="+994501234567", label="home")
    assert mirror.catch_up() == []
    change(aysel, email, email="a@example.com", label="home")

    assert [one["data"]["label"] for one in mirror.catch_up()] == ["home"]


def test_a_record_whose_last_agreed_attribute_goes_is_told_as_deleted(aysel, reads_names):
    """P-22: the rest of it stays in the vault."""
    mirror = Mirror(reads_names)
    person = aysel.save("profile", given_name="Aysel", job_title="nurse")
    mirror.catch_up()

    person = change(aysel, person, job_title="nurse")

    (told,) = mirror.catch_up()
    assert told["deleted"] is True
    assert "data" not in told
    change(aysel, person, job_title="doctor")
    assert mirror.catch_up() == []


def test_a_deleted_record_is_told_once_to_who_had_it_and_never_to_newcomers(aysel, reads_email):
    mirror = Mirror(reads_email)
    email = aysel.save("contact", email="a@example.com")
    mirror.catch_up()

    aysel.records.delete(email.id, version=1)

    (told,) = mirror.catch_up()
    assert told["deleted"] is True
    assert mirror.catch_up() == []
    assert page(reads_email)["records"] == []


def test_a_record_deleted_while_it_is_paged_through_does_not_stay_with_its_reader(
    aysel, reads_email
):
    """P-22, P-23: told on an early page of a snapshot, gone before the last one."""
    kept = [aysel.save("contact", email=f"{n}@example.com") for n in range(5)]
    mirror = Mirror(reads_email, limit=2)
    mirror.step()
    assert mirror.values("email") == ["0@example.com", "1@example.com"]

    aysel.records.delete(kept[0].id, version=1)
    mirror.catch_up()

    assert mirror.values("email") == [f"{n}@example.com" for n in range(1, 5)]


def test_an_attribute_emptied_while_it_is_paged_through_does_not_stay_with_its_reader(
    aysel, world, shop
):
    topic = aysel.save("interests", topic="chess", level="high")
    for n in range(3):
        aysel.save("interests", topic=f"topic {n}", level="high")
    connected = world.connect(aysel, shop, shop.publish(required=["interests.level"]))
    mirror = Mirror(connected, limit=1)
    mirror.step()

    change(aysel, topic, topic="chess")
    mirror.catch_up()

    assert mirror.values("level") == ["high"] * 3


def test_a_change_between_two_pages_of_a_fetch_is_told_in_that_fetch(aysel, reads_email):
    """P-23: `base` stays while `position` moves."""
    first = aysel.save("contact", email="0@example.com")
    for n in range(1, 4):
        aysel.save("contact", email=f"{n}@example.com")
    mirror = Mirror(reads_email, limit=2)
    mirror.step()

    change(aysel, first, email="changed@example.com")
    aysel.save("contact", email="new@example.com")
    mirror.catch_up()

    assert mirror.values("email") == [
        *[f"{n}@example.com" for n in range(1, 4)],
        "changed@example.com",
        "new@example.com",
    ]
    assert mirror.catch_up() == []


def test_a_long_stretch_outside_the_agreement_makes_no_empty_pages(aysel, reads_email):
    """A page that is empty and has more would count what its reader may not see."""
    for n in range(12):
        aysel.save("contact", phone=f"+9945012345{n:02}")
    aysel.save("contact", email="a@example.com")

    body = page(reads_email, limit=3)

    assert values(body, "email") == ["a@example.com"]
    assert body["has_more"] is False


def test_a_singleton_is_blanked_and_never_deleted(aysel, reads_names):
    """P-21: its id stays, so that filling it in again is the same record."""
    mirror = Mirror(reads_names)
    person = aysel.save("profile", given_name="Aysel")
    (before,) = mirror.catch_up()
    aysel.records.delete(person.id, version=1)
    assert mirror.catch_up()[0]["deleted"] is True

    blank = aysel.records.get(person.id)
    change(aysel, blank, given_name="Aysel")

    (told,) = mirror.catch_up()
    assert told["id"] == before["id"]


def test_two_organisations_cannot_join_what_they_receive(world, aysel, shop):
    """P-2: ids, versions, ETags, cursors and subjects differ; instants are cut to the day."""
    bank = world.organisation("Bank")
    aysel.save("contact", email="a@example.com")
    bodies, etags, subjects = [], [], []
    for organisation in (shop, bank):
        connected = world.connect(aysel, organisation, organisation.publish(required=[EMAIL]))
        answer = connected.get("/v1/records")
        bodies.append(answer.json())
        etags.append(answer.headers["ETag"])
        listed = organisation.get("/v1/connections", organisation.organisation_token()).json()
        subjects.append(listed["connections"][0])

    ours, theirs = (body["records"][0] for body in bodies)

    assert ours["id"] != theirs["id"]
    assert ours["changed_at"].endswith("T00:00:00Z")
    assert etags[0] != etags[1]
    for member in ("id", "sub", "grant_id"):
        assert subjects[0][member] != subjects[1][member]
    assert bodies[0]["next_cursor"] != bodies[1]["next_cursor"]


def test_a_range_begins_on_its_fixed_day(world, aysel, shop):
    """P-26."""
    template = shop.publish(
        required=["transactions.amount", "transactions.date"],
        data_from={"transactions": "2026-01-01"},
    )
    money = {"amount": "1.00", "currency": "AZN"}
    aysel.save("transactions", date="2025-12-31", amount=money)
    aysel.save("transactions", date="2026-01-01", amount=money)

    connected = world.connect(aysel, shop, template)

    assert values(page(connected), "date") == ["2026-01-01"]


def test_the_manifest_names_what_was_refused_and_what_is_not_filled_in(world, aysel, shop):
    """P-25: also where all of a collection was refused."""
    template = shop.publish(required=[EMAIL, PHONE], optional=["profile.given_name"])
    aysel.save("contact", email="a@example.com")
    aysel.save("profile", given_name="Aysel")

    manifest = page(world.connect(aysel, shop, template))["manifest"]

    assert manifest == {
        "asked": [EMAIL, PHONE, "profile.given_name"],
        "agreed": [EMAIL, PHONE],
        "delivered": [EMAIL],
        "withheld": [
            {"attribute": "profile.given_name", "reason": "not_agreed"},
            {"attribute": PHONE, "reason": "not_filled_in"},
        ],
    }


def test_the_manifest_tells_nothing_of_what_a_refused_item_holds(world, aysel, shop):
    """P-25: the same words whether the vault has it or not."""
    template = shop.publish(required=[EMAIL], optional=["profile.given_name"])
    connected = world.connect(aysel, shop, template)
    before = page(connected)["manifest"]

    aysel.save("profile", given_name="Aysel")

    assert page(connected)["manifest"] == before
