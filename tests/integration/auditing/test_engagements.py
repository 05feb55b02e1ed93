"""An auditor works within an engagement; what is outside is not there (AUD-1, P-32)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from consent import auditors
from consent.auditing import engagements
from pds.clock import rfc3339
from pds.errors import NotFoundError, ValidationFailedError
from pds.ids import random_uuid
from tests.support.auditing import engaged, integrate, new_auditor


def state(auditor, story):
    return auditor.get("state", at=rfc3339(story.clock.instant)).json()["agreements"]


def events(auditor):
    return [each["event"]["pub"]["event"] for each in auditor.get("bundle").json()["entries"]]


def test_everything_is_limited_to_the_organisations_of_the_engagement(story, world):
    auditor = engaged(world, story.bank)

    owed = auditor.get("obligations", state="due").json()["obligations"]
    found = auditor.get("bundle").json()

    assert owed == []
    assert {each["organisation"] for each in state(auditor, story)} == {str(story.bank.id)}
    clients = {each["event"]["pub"]["client"] for each in found["entries"]} - {None}
    assert clients == {story.bank.client.client_id}
    assert len(found["streams"]) == 1
    assert len(engaged(world, story.shop).get("obligations", state="due").json()["obligations"])


def test_no_evidence_names_a_vault_or_holds_a_value(story, world):
    """P-32: the vault's own stream has the vault's id in its name, so it is not in there."""
    auditor, vault = engaged(world), story.stopped.person.vault_id
    integrate(world)

    found = auditor.get("bundle")

    assert {each["stream"][:2] for each in found.json()["streams"]} >= {"g.", "d"}
    for secret in (str(vault), vault.hex, "canary", "aysel"):
        assert secret not in found.text


def test_a_person_has_another_pseudonym_in_each_engagement(story, world):
    names = [{each["person"] for each in state(engaged(world), story)} for _ in range(2)]

    assert [len(each) for each in names] == [2, 2]
    assert names[0].isdisjoint(names[1])


def test_what_happened_outside_the_period_is_not_in_the_evidence(story, world):
    half_way = story.clock.instant - timedelta(minutes=11)
    services = world.services
    auditor_id, access = new_auditor(world)
    services.uow.write(
        lambda session: engagements.engage(
            session,
            [auditor_id],
            organisations=[story.shop.id],
            since=half_way - timedelta(days=1),
            until=half_way,
            expires_at=story.clock.instant + timedelta(days=1),
            log=services.log,
            now=services.clock.now(),
        )
    )
    auditor = engaged(world, story.shop, days_before=9, days_after=-3)

    found = world.http.get("/v1/audit/bundle", headers={"Authorization": f"Bearer {access}"})
    during = [each["event"]["pub"]["event"] for each in found.json()["entries"]]

    assert ("data.read" in during, "consent.withdrawn" in during) == (True, False)
    assert events(auditor) == []
    answer = auditor.get("state", at=rfc3339(story.clock.instant))
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/at")


def test_an_ended_engagement_stops_at_once_and_looks_like_somebody_elses(story, world):
    mine, other = engaged(world, story.shop), engaged(world, story.shop)
    assert mine.get("bundle").status_code == 200

    mine.end()
    ended = mine.get("bundle", engagement=mine.engagement_id)
    foreign = other.get("bundle", engagement=mine.engagement_id)
    nowhere = other.get("bundle", engagement=random_uuid())
    expired = engaged(world, days=0.00001)
    story.clock.move(seconds=2)

    assert {each.status_code for each in (ended, foreign, nowhere, expired.get("bundle"))} == {403}
    assert len({each.text for each in (ended, foreign, nowhere)}) == 1
    assert other.get("bundle").status_code == 200


def test_who_works_in_several_engagements_names_one(story, world):
    first = engaged(world, story.shop)
    second = engaged(world, story.bank, auditor=(first.auditor_id, first.access))

    unnamed = first.get("bundle")
    listed = first.get("engagements").json()["engagements"]

    assert unnamed.json()["errors"][0]["pointer"] == "/engagement"
    covered = [[str(story.shop.id)], [str(story.bank.id)]]
    assert [each["organisations"] for each in listed] == covered
    assert first.get("bundle", engagement=second.engagement_id).status_code == 200
    assert first.get("bundle", engagement="x").json()["errors"][0]["pointer"] == "/engagement"


def test_an_engagement_of_nothing_and_of_nobody_is_refused(world):
    services, (auditor_id, access) = world.services, new_auditor(world)
    now = services.clock.now()
    whole = {"organisations": None, "since": now, "until": now + timedelta(1)}
    whole |= {"expires_at": now + timedelta(1), "log": services.log, "now": now}

    def refused(people, error, **changed):
        with pytest.raises(error):
            services.uow.write(
                lambda session: engagements.engage(session, people, **whole | changed)
            )

    refused([], ValidationFailedError)
    refused([random_uuid()], NotFoundError)
    refused([auditor_id], NotFoundError, organisations=[random_uuid()])
    refused([auditor_id], ValidationFailedError, organisations=[])
    refused([auditor_id], ValidationFailedError, until=now)
    refused([auditor_id], ValidationFailedError, expires_at=now)
    with services.uow.read() as session:
        assert auditors.find(session, access, now=now) is not None
        assert engagements.living(session, auditor_id, now=now) == []
