"""One consent from the request to the deletion; reads held against consents (AUD-3 to AUD-7)."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from consent.auditing import access, timelines
from consent.formats import canonical
from consent.models import AgreementVersion, FeedEntry
from consent.webhooks.deliveries import Outcome
from consent.webhooks.models import WebhookAttempt, WebhookDelivery, WebhookEndpoint
from pds.clock import rfc3339
from pds.ids import random_uuid
from tests.support.auditing import engaged, seat_of


@pytest.fixture
def whole(world):
    return engaged(world)


def course(auditor, connected, **query):
    answer = auditor.get(f"agreements/{connected.agreement_id}", **query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_consent_is_followed_from_the_request_to_the_deletion(story, whole):
    """AUD-3."""
    found = course(whole, story.stopped)

    told = [each["what"] for each in found["steps"]]
    expected = ["request.seen", "consent.given", "data.read", "consent.withdrawn"]
    assert [each for each in told if each in expected] == expected
    assert {"request.decided", "token.issued", "data.read_denied", "obligation.due"} <= set(told)
    assert (found["state"], found["person"][:2], found["is_cut"]) == ("withdrawn", "p.", False)


def test_the_text_shown_is_found_by_its_hash(story, world, whole):
    """AUD-4: template version, language, hash, and the rendered copy without example values."""
    (shown,) = course(whole, story.stopped)["shown"]

    notice = world.http.get(f"/notices/{shown['notice_sha256']}?format=json")

    assert canonical.sha256_hex(notice.json()) == shown["notice_sha256"]
    assert (shown["locale"], shown["template_sha256"]) == ("en", story.stopped.template.sha256)
    assert "canary" not in notice.text


def test_what_was_permitted_and_read_at_an_instant(story, whole):
    """AUD-5."""
    read = next(
        each for each in course(whole, story.stopped)["steps"] if each["what"] == "data.read"
    )
    now = rfc3339(story.clock.instant)

    then = course(whole, story.stopped, at=read["at"].replace(":00Z", ":59Z"))["at"]
    later = course(whole, story.stopped, at=now)["at"]

    assert (then["permitted"], then["attributes"], len(then["read"])) == (
        True,
        ["contact.email"],
        1,
    )
    assert (later["permitted"], later["reason"], later["read"]) == (
        False,
        "consent-withdrawn",
        [],
    )
    assert later["last_read"]["index"] == then["read"][0]["index"]


def test_how_a_withdrawal_was_heeded(story, whole):
    """AUD-7."""
    (found,) = whole.get("withdrawals").json()["withdrawals"]

    assert found == course(whole, story.stopped)["withdrawal"]
    assert (found["read_after"], found["deleted_in_seconds"]) == (False, None)
    assert found["last_read"] < found["withdrawn_at"] < found["deletion_due_at"]


def test_every_read_is_held_against_its_consent(whole):
    """AUD-6."""
    found = whole.get("access").json()
    first = whole.get("access", limit=1).json()
    second = whole.get("access", limit=500, after=first["after"]).json()

    assert (found["grants"], found["reads"], found["objections"]) == (3, 3, [])
    assert first["reads"] + second["reads"] == 3
    assert second["after"] is None


def test_a_read_that_no_consent_covers_is_named(story, world, whole, monkeypatch):
    """AUD-6: as if the agreement had been about something else."""
    true = access._terms

    def other(session, agreements):
        return {
            sha256: type(terms)(frozenset({"health"}), terms.purpose, terms.expires_at)
            for sha256, terms in true(session, agreements).items()
        }

    monkeypatch.setattr(access, "_terms", other)

    objections = whole.get("access").json()["objections"]

    assert {each["rule"] for each in objections} == {"read-outside-collections"}
    assert str(story.stopped.agreement_id) in {each["agreement"] for each in objections}
    with world.services.uow.read() as session:
        assert session.query(AgreementVersion).count() >= 3


def test_what_is_outside_of_an_engagement_is_not_there(story, world):
    of_bank = engaged(world, story.bank)
    earlier = engaged(world, days_before=9, days_after=-3)

    for auditor, agreement in (
        (of_bank, story.stopped.agreement_id),
        (of_bank, random_uuid()),
        (earlier, story.stopped.agreement_id),
    ):
        answer = auditor.get(f"agreements/{agreement}")
        assert (answer.status_code, answer.json()["type"][-9:]) == (404, "not-found")
    assert of_bank.get("access").json()["grants"] == 1
    assert of_bank.get("withdrawals").json()["withdrawals"] == []
    soon = rfc3339(story.clock.instant + timedelta(days=99))
    assert of_bank.get(f"agreements/{story.of_bank.agreement_id}", at=soon).status_code == 404


def test_no_course_names_a_person(story, whole):
    text = whole.get(f"agreements/{story.stopped.agreement_id}").text

    for secret in ("aysel", "canary", str(story.stopped.person.vault_id)):
        assert secret not in text


@pytest.mark.tampers
def test_a_message_that_was_taken_is_in_the_course_with_how_long_that_took(story, world, whole):
    """AUD-3, AUD-7: a try that failed is told as one, and does not count as heeded."""
    services = world.services
    with Session(services.uow.engine) as session:
        bucket = services.ids.bucket_of(story.stopped.agreement_id)
        scope = seat_of(whole).scope
        agreement = timelines.agreement(session, scope, bucket, story.stopped.agreement_id)
        sent, tried = agreement.ended_at, agreement.ended_at + timedelta(seconds=5)
        number = session.scalars(
            select(FeedEntry.number).where(
                FeedEntry.connection_id == agreement.connection_id,
                FeedEntry.event == "consent.withdrawn",
            )
        ).one()
        endpoint = {
            "id": random_uuid(),
            "organisation_id": agreement.organisation_id,
            "url": "https://shop.example/hook",
            "events": [],
            "state": "enabled",
            "generation": 1,
            "secret_box": b"",
            "failures": 0,
            "created_at": sent,
        }
        delivery = {
            "id": random_uuid(),
            "endpoint_id": endpoint["id"],
            "feed_number": number,
            "event": "consent.withdrawn",
            "connection_id": agreement.connection_id,
            "created_at": sent,
            "state": "delivered",
            "due_at": sent,
            "tries": 2,
            "attempts": 2,
        }
        session.execute(insert(WebhookEndpoint).values(**endpoint))
        session.execute(insert(WebhookDelivery).values(**delivery))
        for number, outcome in enumerate((Outcome.TIMEOUT, Outcome.DELIVERED), start=1):
            session.execute(
                insert(WebhookAttempt).values(
                    delivery_id=delivery["id"],
                    number=number,
                    at=tried + timedelta(seconds=55 * (number - 1)),
                    milliseconds=9,
                    outcome=outcome.value,
                )
            )
        found = timelines.of_agreement(session, scope, agreement)
        (late,) = [
            each
            for each in timelines.withdrawn(session, scope, limit=10)
            if each.agreement_id == agreement.id
        ]
        session.rollback()

    told = [each.what for each in found.steps if each.detail == "consent.withdrawn"]
    assert told == ["webhook.failed", "webhook.acknowledged"]
    assert found.latency.acknowledged_in == late.acknowledged_in == timedelta(minutes=1)
