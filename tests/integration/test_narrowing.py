"""A decision for less than was asked: what it leaves behind, and what is read by it (LEAD-5)."""

from __future__ import annotations

import json
from uuid import UUID

import pytest
from sqlalchemy import select, update

from api.oauth.invariants import ALL_INVARIANTS
from consent.drafts import AGREEMENT_VERSION
from consent.formats import canonical
from consent.formats.reconciliation import Terms, mismatches
from consent.invariants.check import check
from consent.invariants.scope import Scope
from consent.models import Agreement, AgreementVersion, Event, Grant, Receipt, Request
from pds.errors import ConflictError, ValidationFailedError
from pds.ids import BUCKETS
from pds.models import Record
from pds.records import Draft
from tests.support.reading import Mirror, page, values
from tests.support.world import wording

EMAIL, BIRTH, STREET = "contact.email", "demographics.birth_date", "addresses.street_address"


def item(name, **members):
    return {"name": name, "reason": wording("Needed.")} | members


@pytest.fixture
def aysel(world):
    aysel = world.person()
    aysel.save("demographics", birth_date="1992-03-14")
    aysel.save(
        "addresses",
        street_address="12 Sample Street, flat 34",
        district="Nəsimi",
        locality="Bakı",
    )
    aysel.emails = [
        aysel.save("contact", email="home@example.com", primary=True),
        aysel.save("contact", email="work@example.com"),
        aysel.save("contact", email="club@example.com"),
    ]
    return aysel


@pytest.fixture
def shop(world):
    return world.organisation()


@pytest.fixture
def template(shop):
    return shop.publish(
        attributes=[item(EMAIL), item(BIRTH, coarsenings=["age_band", "age_over_18"])],
        optional_attributes=[item(STREET), item("contact.phone")],
        access={"mode": "periodic", "fetches_per_day": 30},
    )


def rows(world, model):
    with world.services.uow.read() as session:
        return session.scalars(select(model)).all()


def agreement(world):
    (version,) = rows(world, AgreementVersion)
    return canonical.parse(version.document)


def change(person, opened, **data):
    return person.records.save(Draft(opened.collection, data, opened.id, opened.version))


NARROWED = {
    "optional": [STREET],
    "duration": "P7D",
    "fetches_per_day": 4,
    "coarsenings": {BIRTH: "age_over_18", STREET: "district_only"},
    "instances": {"contact": "primary"},
}


def test_a_narrowed_decision_stands_in_agreement_token_answer_receipt_and_request(
    world, aysel, shop, template
):
    """LEAD-5, P-25: the same everywhere."""
    connected = world.connect(aysel, shop, template, **NARROWED)

    document = agreement(world)
    granted = connected.body["authorization_details"][0]
    told = connected.get("/v1/grant").json()
    receipt = canonical.parse(rows(world, Receipt)[0].document)
    (process,) = receipt["dpv:hasRecordOfActivity"][0]["dpv:hasProcess"]
    coarse = {BIRTH: "age_over_18", STREET: "district_only"}
    withheld = [
        {"attribute": "contact.phone", "reason": "not_agreed"},
        {"attribute": STREET, "reason": "coarsened", "coarsening": "district_only"},
        {"attribute": BIRTH, "reason": "coarsened", "coarsening": "age_over_18"},
    ]
    assert document["type"] == AGREEMENT_VERSION
    for found in (document, granted, told):
        assert found["coarsenings"] == coarse
        assert found["instances"] == {"contact": {"which": "primary"}}
        assert found["fetches_per_day"] == 4
    assert granted["withheld"] == told["withheld"] == withheld
    assert {each["attribute_id"]: each["transform"] for each in process["dpv:hasPersonalData"]} == {
        EMAIL: "none",
        BIRTH: "coarsen:age_over_18",
        STREET: "coarsen:district_only",
    }
    assert process["access"]["frequency"] == "P1D/4"
    assert rows(world, Request)[0].state == "approved_narrowed"


def test_what_is_read_is_as_coarse_and_as_little_as_agreed(world, aysel, shop, template):
    """LEAD-5, P-26: nothing finer is anywhere in the answer."""
    connected = world.connect(aysel, shop, template, **NARROWED)

    answer = connected.get("/v1/records")

    body = answer.json()
    assert values(body, "email") == ["home@example.com"]
    assert values(body, "birth_date") == [True]
    assert values(body, "street_address") == ["Nəsimi, Bakı"]
    for finer in ("1992", "Sample", "work@", "club@"):
        assert finer not in answer.text
    assert body["manifest"]["delivered"] == [STREET, EMAIL, BIRTH]


def test_the_slower_frequency_is_kept(world, aysel, shop, template):
    """CUX-12."""
    connected = world.connect(aysel, shop, template, fetches_per_day=1)

    assert connected.get("/v1/records").status_code == 200
    world.services.clock.move(minutes=16)
    answer = connected.get("/v1/records")

    assert answer.status_code in {401, 429}
    token = shop.client.refresh(connected.refresh_token).json()["access_token"]
    assert shop.get("/v1/records", token).status_code == 429


def test_only_chosen_records_are_read_and_named_by_ids_of_this_grant(world, aysel, shop, template):
    """P-26, P-2: the agreement's text names no record that another organisation could know."""
    chosen = frozenset({aysel.emails[1].id, aysel.emails[2].id})
    connected = world.connect(
        aysel,
        shop,
        template,
        instances={"contact": "chosen"},
        records={"contact": chosen},
    )

    body = page(connected)

    assert sorted(values(body, "email")) == ["club@example.com", "work@example.com"]
    delivered = [one["id"] for one in body["records"] if one["collection"] == "contact"]
    named = agreement(world)["instances"]["contact"]
    assert named == {"which": "chosen", "records": sorted(delivered)}
    assert connected.get("/v1/grant").json()["instances"]["contact"] == named
    assert not {UUID(each) for each in delivered} & chosen
    (version,) = rows(world, AgreementVersion)
    for record in aysel.emails:
        assert str(record.id).encode() not in version.document


def test_records_that_are_not_shared_stay_unseen_whatever_happens_to_them(
    world, aysel, shop, template
):
    """P-22, P-25: new, edited or deleted, they leave no trace in the feed."""
    chosen = {"instances": {"contact": "chosen"}}
    mirror = Mirror(
        world.connect(aysel, shop, template, **chosen, records={"contact": {aysel.emails[0].id}})
    )
    mirror.catch_up()

    aysel.save("contact", email="new@example.com")
    changed = change(aysel, aysel.emails[1], email="changed@example.com")
    aysel.records.delete(changed.id, version=changed.version)

    assert mirror.catch_up() == []
    change(aysel, aysel.emails[0], email="home2@example.com", primary=True)
    assert [one["data"]["email"] for one in mirror.catch_up()] == ["home2@example.com"]


def test_the_main_record_is_followed_as_it_moves(world, aysel, shop, template):
    """P-26: what is main no longer is told as gone; what never was is never told."""
    mirror = Mirror(world.connect(aysel, shop, template, instances={"contact": "primary"}))
    mirror.catch_up()

    aysel.save("contact", email="other@example.com")
    assert mirror.catch_up() == []
    change(aysel, aysel.emails[0], email="home@example.com")
    change(aysel, aysel.emails[1], email="work@example.com", primary=True)
    told = mirror.catch_up()

    assert [one["deleted"] for one in told] == [True, False]
    assert told[1]["data"]["email"] == "work@example.com"


def test_what_lies_outside_the_range_stays_unseen(world, aysel, shop):
    """P-22, P-26: no tombstone of a record that was never shown."""
    money = {"amount": "1.00", "currency": "AZN"}
    old = aysel.save("transactions", date="2025-12-31", amount=money)
    aysel.save("transactions", date="2026-01-02", amount=money)
    template = shop.publish(
        required=["transactions.amount"], data_from={"transactions": "2026-01-01"}
    )
    mirror = Mirror(world.connect(aysel, shop, template))
    assert len(mirror.catch_up()) == 1

    old = change(aysel, old, date="2025-12-31", amount={"amount": "2.00", "currency": "AZN"})
    assert mirror.catch_up() == []
    change(aysel, old, date="2026-02-01", amount=money)

    assert [one["deleted"] for one in mirror.catch_up()] == [False]


@pytest.mark.parametrize(
    ("chosen", "field"),
    [
        ({"coarsenings": {BIRTH: "year_of_birth"}}, f"coarsen.{BIRTH}"),
        ({"fetches_per_day": 31}, "fetches_per_day"),
        ({"duration": "P91D"}, "duration"),
        ({"instances": {"contact": "chosen"}}, "records.contact"),
    ],
)
def test_a_choice_that_was_not_offered_decides_nothing(  # noqa: PLR0917 - a case
    world, aysel, shop, template, chosen, field
):
    """P-27."""
    request_uri, _ = world.push(shop, shop.details(template, duration="P90D"))
    opened = world.open_request(aysel, shop, request_uri)

    with pytest.raises(ValidationFailedError) as refused:
        world.allow(aysel, opened, **chosen)

    assert [each.field for each in refused.value.issues] == [field]
    assert rows(world, Agreement) == []
    assert rows(world, Request)[0].state == "seen"


def test_records_of_another_person_or_collection_are_not_chosen(world, aysel, shop, template):
    """P-27, SEC-S23: a tampered form; not yours and not there are one answer."""
    leyla = world.person("leyla")
    hers = leyla.save("contact", email="leyla@example.com")
    bucket = aysel.visitor.vault.bucket
    world.services.uow.write(  # where only the vault tells the two apart
        lambda session: session.execute(
            update(Record).where(Record.id == hers.id).values(bucket=bucket)
        )
    )
    gone = aysel.emails[2]
    aysel.records.delete(gone.id, version=gone.version)
    (birth,) = aysel.records.all(["demographics"])
    request_uri, _ = world.push(shop, shop.details(template, duration="P90D"))
    opened = world.open_request(aysel, shop, request_uri)

    for stranger in (hers.id, birth.id, gone.id, UUID(int=0)):
        with pytest.raises(ValidationFailedError) as refused:
            world.allow(
                aysel,
                opened,
                instances={"contact": "chosen"},
                records={"contact": frozenset({aysel.emails[0].id, stranger})},
            )
        assert [each.field for each in refused.value.issues] == ["records.contact"]

    assert rows(world, Agreement) == []


@pytest.mark.tampers
def test_a_database_writer_cannot_make_the_terms_finer(world, aysel, shop, template):
    """P-9: forms, records and frequency come from the sealed terms, not from the document."""
    connected = world.connect(aysel, shop, template, **NARROWED)
    document = agreement(world) | {"coarsenings": {}, "instances": {}, "fetches_per_day": 30}
    world.services.uow.write(
        lambda session: session.execute(
            update(AgreementVersion).values(document=canonical.canonical_bytes(document))
        )
    )

    body = page(connected)

    assert values(body, "birth_date") == [True]
    assert values(body, "email") == ["home@example.com"]


def test_a_request_is_put_aside_and_decided_later(world, aysel, shop, template):
    """VOC-19: closed without deciding, with a receipt, nothing rests, and open again."""
    request_uri, _ = world.push(shop, shop.details(template))
    opened = world.open_request(aysel, shop, request_uri)

    back = world.defer(aysel, opened)

    assert "error=access_denied" in back
    (request,), (receipt,) = rows(world, Request), rows(world, Receipt)
    assert (request.state, request.cools_until, receipt.kind) == ("deferred", None, "deferred")
    assert (rows(world, Agreement), rows(world, Grant)) == ([], [])
    status = json.loads(receipt.document)["dpv:hasRecordOfActivity"][0]["dpv:hasConsentStatus"]
    assert status[0]["@type"] == ["dpv:ConsentRequestDeferred"]
    assert "consent.deferred" in [event.name for event in rows(world, Event)]
    with pytest.raises(ConflictError):
        world.allow(aysel, opened)

    again = world.open_request(aysel, shop, request_uri)
    assert again[1].id == opened[1].id
    world.allow(aysel, again)

    assert rows(world, Request)[0].state == "approved_narrowed"
    with pytest.raises(ConflictError):
        world.defer(aysel, again)


def test_putting_aside_takes_no_key(world, aysel, shop, template):
    request_uri, _ = world.push(shop, shop.details(template))
    opened = world.open_request(aysel, shop, request_uri)
    aysel.unlocked = None

    world.defer(aysel, opened)

    assert rows(world, Request)[0].state == "deferred"


@pytest.mark.parametrize(
    "chosen", [{}, NARROWED, {"instances": {"contact": "chosen"}}], ids=["all", "less", "chosen"]
)
def test_every_answer_reconciles_with_its_agreement_on_both_sides(
    world, aysel, shop, template, chosen
):
    """LEAD-8: by the token's answer, by /v1/grant, and by the signed text; page by page."""
    if chosen.get("instances") == {"contact": "chosen"}:
        chosen = chosen | {"records": {"contact": frozenset({aysel.emails[1].id})}}
    connected = world.connect(aysel, shop, template, **chosen)
    pages = [page(connected), page(connected, limit=1), page(connected, collection="contact")]

    for document in (
        connected.body["authorization_details"][0],
        connected.get("/v1/grant").json(),
        agreement(world),
    ):
        terms = Terms.from_document(document)
        assert mismatches(pages[0], terms) == []
        assert mismatches(pages[1], terms) == []
        assert mismatches(pages[2], terms, collection="contact") == []


def test_what_narrowing_and_putting_aside_leave_behind_keeps_every_invariant(
    world, aysel, shop, template
):
    """CM-13."""
    chosen = {
        "instances": {"contact": "chosen"},
        "records": {"contact": frozenset({aysel.emails[1].id})},
    }
    page(world.connect(aysel, shop, template, **(NARROWED | chosen)))
    coarse = shop.publish(
        attributes=[item(BIRTH, coarsened_to="age_band", coarsenings=["age_over_18"])],
        optional_attributes=[item(EMAIL)],
        instances={"contact": "primary"},
    )
    connected = world.connect(aysel, shop, coarse, optional=[EMAIL])
    assert values(page(connected), "birth_date") == ["30-39"]
    assert values(page(connected), "email") == ["home@example.com"]
    request_uri, _ = world.push(shop, shop.details(coarse))
    world.defer(aysel, world.open_request(aysel, shop, request_uri))

    with world.services.uow.read() as session:
        scope = Scope(session, 0, BUCKETS - 1, world.services.clock.now())
        found = [each.text() for each in check(scope, ALL_INVARIANTS)]

    assert found == []
