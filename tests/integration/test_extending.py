"""Sharing the same for longer, on the person's own word (CUX-42, P-27, P-28, CM-6; ADR 0043)."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from consent.errors import LogStalledError, NoticeChangedError
from consent.extending import Extension, Obstacle
from consent.formats import canonical
from consent.log import feed
from consent.models import (
    Agreement,
    AgreementVersion,
    ConsentEvent,
    Event,
    FeedEntry,
    Organisation,
    Receipt,
)
from pds.errors import ConflictError, NotFoundError, ValidationFailedError
from pds.sweeping import sweep
from tests.support.freezing import freeze
from tests.support.world import wording

EMAIL = "contact.email"


@pytest.fixture
def shop(world):
    return world.organisation()


@pytest.fixture
def shared(world, shop):
    """Share for 7 days what was asked for 90."""
    aysel = world.person()
    aysel.save("contact", email="a@example.com")
    template = shop.publish(required=[EMAIL])
    return world.connect(aysel, shop, template, duration="P7D", ask={"duration": "P90D"})


def rows(world, model, order):
    with world.services.uow.read() as session:
        return session.scalars(select(model).order_by(order)).all()


def offered(shared):
    return shared.person.world.services.extending.offer(
        shared.person.visitor.vault, shared.agreement_id
    )


def extend(shared, duration="P90D", *, person=None, seen=""):
    visitor = (person or shared.person).visitor
    extension = Extension(seen or offered(shared).before.sha256, duration)
    shared.person.world.services.extending.extend(
        visitor.vault, visitor.open_vault, shared.agreement_id, extension
    )


def test_the_same_terms_go_on_to_a_later_end_with_every_token(world, clock, shop, shared):
    """Version, consent event, log entry, receipt and news; nothing but the time differs."""
    clock.move(days=5)
    shared.person.sign_in()
    assert list(offered(shared).ends) == ["P7D", "P30D", "P90D"]

    extend(shared)

    before, after = rows(world, AgreementVersion, AgreementVersion.version)
    texts = [canonical.parse(each.document) for each in (before, after)]
    assert {name for name in texts[0] if texts[0][name] != texts[1][name]} == {
        "version",
        "duration",
        "starts_at",
        "expires_at",
    }
    event = rows(world, ConsentEvent, ConsentEvent.seq)[-1]
    assert (event.act, event.status, event.actor) == (
        "extend",
        "dpv:RenewedConsentGiven",
        "individual",
    )
    assert "consent.renewed" in {each.name for each in rows(world, Event, Event.at)}
    receipt = rows(world, Receipt, Receipt.created_at)[-1]
    (record,) = json.loads(receipt.document)["dpv:hasRecordOfActivity"]
    assert receipt.kind == "renewed"
    assert record["agreement"]["contract_status"] == "dpv:ContractRenewed"
    world.services.uow.write(feed.number_feed)
    assert rows(world, FeedEntry, FeedEntry.number)[-1].event == "consent.changed"
    clock.move(days=40)  # past the first end
    world.services.uow.write(lambda session: sweep(session, now=clock.now()))
    token = shop.client.refresh(shared.refresh_token).json()["access_token"]
    answer = shop.get("/v1/grant", token).json()
    assert answer["agreement"]["version"] == 2
    assert shop.get("/v1/records", token).status_code == 200


def test_no_more_time_than_was_asked_for_is_given_and_only_to_what_was_seen(world, clock, shared):
    """P-27, P-28, SEC-S23, LOG-21: nothing is written, whoever asks and whatever the form says."""
    extending = world.services.extending
    for duration in ("P365D", "P7D", "P91D", "", "for ever"):
        with pytest.raises(ValidationFailedError) as refused:
            extend(shared, duration)
        assert [issue.field for issue in refused.value.issues] == ["duration"]
    with pytest.raises(NoticeChangedError):
        extend(shared, seen="0" * 64)
    with pytest.raises(NotFoundError):
        extend(shared, person=world.person("leyla"))
    patient = extending.log_may_wait
    object.__setattr__(extending, "log_may_wait", timedelta(minutes=10))
    clock.move(minutes=11)
    with pytest.raises(LogStalledError):
        extend(shared)
    object.__setattr__(extending, "log_may_wait", patient)
    seen = offered(shared).before.sha256
    shared.withdraw()
    with pytest.raises(ConflictError):
        extend(shared, seen=seen)

    (agreement,) = rows(world, Agreement, Agreement.id)
    assert (agreement.version, agreement.state) == (1, "withdrawn")


def _another_contact(world, _shop, _template):
    world.services.uow.write(
        lambda session: session.execute(update(Organisation).values(contact="a@other.example"))
    )


def _another_version(_world, shop, template):
    shop.publish(
        required=[EMAIL], id=str(template.id), version=2, purpose_text=wording("For your card.")
    )


def _frozen(_world, shop, _template):
    freeze(shop)


@pytest.mark.parametrize(
    ("change", "obstacle"),
    [
        (_another_contact, Obstacle.CHANGED),
        (_another_version, Obstacle.CHANGED),
        (_frozen, Obstacle.FROZEN),
    ],
    ids=["contact", "template", "freeze"],
)
def test_what_is_no_more_as_it_was_shown_has_to_be_asked_for_anew(
    world, shop, shared, change, obstacle
):
    """P-28: a consent is extended only to the organisation and terms that the person saw."""
    change(world, shop, shared.template)

    assert (offered(shared).obstacle, offered(shared).ends) == (obstacle, {})
    with pytest.raises(NoticeChangedError):
        extend(shared)

    assert [each.version for each in rows(world, Agreement, Agreement.id)] == [1]
