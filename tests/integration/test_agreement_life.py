"""What may happen to a standing agreement, short of its person's withdrawal (CM-6 to CM-14)."""

from __future__ import annotations

import json
from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import select

from api.worker import Worker
from consent import connections, organisations
from consent.formats import deletion_receipt
from consent.formats import receipt as receipts
from consent.models import (
    Agreement,
    ConsentEvent,
    Event,
    EventPayload,
    FeedPending,
    Grant,
    Obligation,
    Receipt,
)
from consent.vocabulary import Actor, InvalidationReason, Standing
from pds import deposits
from pds.clock import rfc3339
from pds.errors import ConflictError, NotFoundError
from pds.models import Deposit, KeyWrap
from tests.support.oauth_client import pkce_pair
from tests.support.reading import page, values

EMAIL = "contact.email"


@pytest.fixture
def connected(world, aysel, shop):
    aysel.save("contact", email="a@example.com")
    return world.connect(aysel, shop, shop.publish(required=[EMAIL], optional=["contact.phone"]))


def all_of(world, model, order=None, *where):
    with world.services.uow.read() as session:
        query = select(model).where(*where)
        return session.scalars(query if order is None else query.order_by(order)).all()


def states(world):
    """Return the states of the one agreement and its grant, and the course of the consent."""
    (agreement,), (grant,) = all_of(world, Agreement), all_of(world, Grant)
    events = all_of(world, ConsentEvent, ConsentEvent.seq)
    return agreement.state, grant.state, [(each.act, each.status) for each in events]


def owed_now(world):
    return all_of(world, Obligation, Obligation.due_at)


def deletion(world):
    (found,) = all_of(world, Obligation, None, Obligation.kind == "delete")
    return found


def logged(world):
    """Return the names of the grant's events, in order."""
    events = all_of(world, Event, Event.seq)
    return [each.name for each in events if each.stream.startswith("g.")]


def problem(answer):
    return answer.status_code, answer.json()["type"].rpartition("/")[2]


def test_a_paused_agreement_releases_nothing_and_tells_nothing(world, aysel, connected):
    """P-25, TAK-41, CM-8: 403 without a manifest, and no vault key is needed for it."""
    aysel.unlocked = None
    vault = aysel.visitor.vault

    world.services.pauses.pause(vault, connected.agreement_id)

    answer = connected.get("/v1/records")
    assert problem(answer) == (403, "consent-paused")
    assert set(answer.json()) == {"type", "title", "status", "detail"}
    assert states(world) == (
        "suspended",
        "paused",
        [
            ("allow_part", "dpv:ConsentGiven"),
            ("pause", "dpv:ConsentStatusInvalidForProcessing"),
        ],
    )


def test_resuming_goes_on_with_the_same_tokens_and_terms(world, aysel, connected):
    """VOC-22: neither a vault key nor a new consent is needed."""
    aysel.unlocked = None
    vault, pauses = aysel.visitor.vault, world.services.pauses
    pauses.pause(vault, connected.agreement_id)

    pauses.resume(vault, connected.agreement_id)

    assert values(page(connected), "email") == ["a@example.com"]
    agreement, grant, course = states(world)
    assert (agreement, grant) == ("active", "active")
    assert course[-1] == ("resume", "dpv:ConsentGiven")
    assert logged(world) == [
        "consent.given",
        "token.issued",
        "consent.paused",
        "consent.resumed",
        "data.read",
    ]


def test_the_epoch_rises_with_pause_and_resume(world, aysel, connected):
    """P-8: what was decided before is void after, though the state is the same again."""
    (before,) = all_of(world, Grant)
    vault, pauses = aysel.visitor.vault, world.services.pauses

    pauses.pause(vault, connected.agreement_id)
    pauses.resume(vault, connected.agreement_id)

    (after,) = all_of(world, Grant)
    assert (after.state, after.epoch) == (before.state, before.epoch + 2)


def test_pausing_and_resuming_have_signed_receipts_with_the_whole_course(world, aysel, connected):
    """CUX-24, CM-15."""
    vault, pauses = aysel.visitor.vault, world.services.pauses
    pauses.pause(vault, connected.agreement_id)
    pauses.resume(vault, connected.agreement_id)

    found = all_of(world, Receipt, Receipt.stream_seq)
    assert [each.kind for each in found] == ["given", "paused", "resumed"]
    issuer = world.services.receipts
    keys = {issuer.kid: issuer.key.public_key().public_bytes_raw()}
    document = json.loads(found[-1].document)
    receipts.verify(document, keys)
    record = document["dpv:hasRecordOfActivity"][0]
    assert [each["@type"][0] for each in record["dpv:hasConsentStatus"]] == [
        "dpv:ConsentGiven",
        "dpv:ConsentStatusInvalidForProcessing",
        "dpv:ConsentGiven",
    ]
    assert record["agreement"]["contract_status"] == "dpv:ContractActive"
    assert record["obligations"] == []


def test_pausing_twice_is_pausing_once(world, aysel, connected):
    vault, pauses = aysel.visitor.vault, world.services.pauses

    for step in (pauses.pause, pauses.pause, pauses.resume, pauses.resume):
        step(vault, connected.agreement_id)

    assert [each.act for each in all_of(world, ConsentEvent, ConsentEvent.seq)] == [
        "allow_part",
        "pause",
        "resume",
    ]


def test_an_organisation_is_told_of_the_pause_and_of_no_change_within_it(world, aysel, connected):
    """P-24, P-25: that something changed is data too."""
    services, vault = world.services, aysel.visitor.vault
    services.uow.write(lambda session: session.execute(FeedPending.__table__.delete()))
    services.pauses.pause(vault, connected.agreement_id)
    aysel.save("contact", email="b@example.com")
    assert [each.event for each in all_of(world, FeedPending)] == ["consent.paused"]

    services.pauses.resume(vault, connected.agreement_id)
    aysel.save("contact", email="c@example.com")

    told = [each.event for each in all_of(world, FeedPending, FeedPending.id)]
    assert told == ["consent.paused", "consent.resumed", "data.updated"]
    assert sorted(values(page(connected), "email")) == [
        "a@example.com",
        "b@example.com",
        "c@example.com",
    ]


def test_a_paused_agreement_expires_all_the_same(world, clock, aysel, connected):
    services, vault = world.services, aysel.visitor.vault
    services.pauses.pause(vault, connected.agreement_id)
    (agreement,) = all_of(world, Agreement)
    clock.instant = agreement.expires_at

    with pytest.raises(ConflictError):
        services.pauses.resume(vault, connected.agreement_id)
    services.uow.write(lambda s: services.endings.end_due(s, now=services.clock.now()))

    agreement, grant, course = states(world)
    assert (agreement, grant, course[-1]) == (
        "expired",
        "expired",
        ("expire", "dpv:ConsentExpired"),
    )


def test_a_paused_agreement_is_withdrawn_as_any_other(world, aysel, connected):
    services, vault = world.services, aysel.visitor.vault
    services.pauses.pause(vault, connected.agreement_id)

    connected.withdraw()

    assert problem(connected.get("/v1/records")) == (403, "consent-withdrawn")
    for step in (services.pauses.pause, services.pauses.resume):
        with pytest.raises(ConflictError):
            step(vault, connected.agreement_id)
    assert states(world)[:2] == ("withdrawn", "revoked")


def test_nobody_pauses_anothers_agreement(world, connected):
    leyla = world.person("leyla")
    pauses, vault = world.services.pauses, leyla.visitor.vault

    for step in (pauses.pause, pauses.resume):
        with pytest.raises(NotFoundError):
            step(vault, connected.agreement_id)

    assert states(world)[0] == "active"


def test_a_paused_organisation_refreshes_and_deposits_nothing(world, aysel, shop):
    """The connection stays; neither reading nor writing does."""
    template = shop.publish(required=[EMAIL], actions=["read", "write"])
    connected = world.connect(aysel, shop, template, ask={"actions": ["read", "write"]})
    world.services.pauses.pause(aysel.visitor.vault, connected.agreement_id)

    refreshed = shop.client.refresh(connected.refresh_token)
    left = connected.post(
        "/v1/records/contact", {"document_id": "d1", "data": {"email": "b@example.com"}}
    )

    assert refreshed.status_code == 200
    assert problem(left) == (403, "consent-paused")


def test_a_clock_that_was_set_back_keeps_nobody_from_stopping(world, clock, aysel, connected):
    """REL-R4, CM-15: histories are in order of their numbers, and of time as written."""
    services, vault = world.services, aysel.visitor.vault
    services.pauses.pause(vault, connected.agreement_id)
    clock.move(days=-1)

    connected.withdraw()

    events = all_of(world, ConsentEvent, ConsentEvent.seq)
    assert [each.act for each in events] == ["allow_part", "pause", "withdraw"]
    assert events[1].at == events[2].at
    assert clock.instant < events[2].at - timedelta(hours=23)


def test_every_act_says_who_in_what_stream(world, aysel, connected):
    """CM-12, P-31."""
    world.services.pauses.pause(aysel.visitor.vault, connected.agreement_id)

    (given, paused) = all_of(world, ConsentEvent, ConsentEvent.seq)
    (grant,) = all_of(world, Grant)
    assert (given.actor, paused.actor) == ("individual", "individual")
    assert (paused.stream, paused.stream_seq) == (f"g.{grant.id.hex}", 3)
    payload = next(
        json.loads(each.pub)
        for each in all_of(world, EventPayload)
        if json.loads(each.pub)["event"] == "consent.paused"
    )
    assert (payload["outcome"], payload["collections"]) == ("ok", ["contact"])


def suspend(world, organisation, standing=Standing.SUSPENDED):
    return world.services.uow.write(
        lambda session: organisations.set_standing(session, organisation.id, standing)
    )


def ended(world):
    """Return how the one agreement ended, for each of the objects, and why."""
    (agreement,), (grant,) = all_of(world, Agreement), all_of(world, Grant)
    last = all_of(world, ConsentEvent, ConsentEvent.seq)[-1]
    return agreement.state, agreement.ended_by, grant.state, last.status, last.reason


def terminate(shop, agreement_id, reason="service-ended"):
    path = f"/v1/agreements/{agreement_id}/termination"
    return shop.post(path, shop.organisation_token(), {"reason": reason})


def test_an_organisation_ends_an_agreement_with_a_reason_once(world, shop, connected):
    """VOC-17, CM-7, CM-9, CM-12."""
    first = terminate(shop, connected.agreement_id)
    again = terminate(shop, connected.agreement_id, "other")

    assert first.status_code == again.status_code == 200
    assert (
        first.json()
        == again.json()
        == {
            "id": str(connected.agreement_id),
            "state": "terminated",
        }
    )
    assert ended(world) == (
        "terminated",
        "organisation",
        "revoked",
        "dpv:ConsentRevoked",
        "service-ended",
    )
    assert problem(connected.get("/v1/records")) == (403, "consent-terminated")
    assert shop.client.refresh(connected.refresh_token).status_code == 400
    assert logged(world).count("consent.terminated") == 1
    assert [each.kind for each in all_of(world, Receipt, Receipt.created_at)] == [
        "given",
        "terminated",
    ]
    owed = deletion(world)
    assert (owed.state, owed.asked_by_person) == ("due", False)
    outcomes = [json.loads(each.pub)["outcome"] for each in all_of(world, EventPayload)]
    assert "service-ended" in outcomes


def test_an_end_by_the_organisation_says_who_and_why_to_the_person(world, aysel, shop, connected):
    terminate(shop, connected.agreement_id, "customer-left")

    vault = aysel.visitor.vault
    with world.services.uow.read() as session:
        (view,) = connections.of_vault(
            session, vault.bucket, vault.id, now=world.services.clock.now()
        )
    assert (view.ended_by, view.ended_why) == ("organisation", "customer-left")


def test_termination_after_another_end_changes_nothing(world, shop, connected):
    """CM-6."""
    connected.withdraw()

    answer = terminate(shop, connected.agreement_id)

    assert answer.json()["state"] == "withdrawn"
    assert ended(world)[:2] == ("withdrawn", "individual")


@pytest.mark.parametrize("reason", ["because", "", None, "court-order", "organisation-removed"])
def test_a_reason_that_is_not_on_the_list_is_refused(world, shop, connected, reason):
    assert terminate(shop, connected.agreement_id, reason).status_code == 422
    assert states(world)[0] == "active"


def test_no_organisation_ends_anothers_agreement(world, connected):
    """SEC-S23: a foreign agreement looks like none."""
    bank = world.organisation("Bank")

    foreign, absent = (terminate(bank, each) for each in (connected.agreement_id, uuid4()))

    assert (foreign.status_code, foreign.json()) == (absent.status_code, absent.json())
    assert foreign.status_code == 404
    assert states(world)[0] == "active"


def test_a_grant_token_ends_nothing(connected):
    path = f"/v1/agreements/{connected.agreement_id}/termination"

    assert connected.post(path, {"reason": "other"}).status_code == 403


def test_an_authority_declares_an_agreement_void(world, connected):
    """VOC-20, CM-12."""
    endings = world.services.endings

    for _ in range(2):
        state = endings.invalidate(
            connected.agreement_id,
            actor=Actor.AUTHORITY,
            reason=InvalidationReason.COURT_ORDER,
        )

    assert state == "invalidated"
    assert ended(world) == (
        "invalidated",
        "authority",
        "revoked",
        "dpv:ConsentInvalidated",
        "court-order",
    )
    assert problem(connected.get("/v1/records")) == (403, "consent-invalidated")
    assert logged(world).count("consent.invalidated") == 1
    assert all_of(world, Receipt, Receipt.created_at)[-1].kind == "invalidated"
    assert [each.kind for each in owed_now(world)] == ["stop", "delete"]


@pytest.mark.parametrize("actor", [Actor.INDIVIDUAL, Actor.ORGANISATION, Actor.CLOCK])
def test_only_authority_and_operator_declare_void(world, connected, actor):
    with pytest.raises(ConflictError):
        world.services.endings.invalidate(
            connected.agreement_id, actor=actor, reason=InvalidationReason.DECEPTION
        )

    assert states(world)[0] == "active"


def test_a_suspended_organisation_is_refused_at_once_and_its_agreements_end(world, shop, connected):
    """P-30, CM-10: standing is in the hot statement; the worker ends."""
    suspend(world, shop)

    assert problem(connected.get("/v1/records")) == (403, "organisation-suspended")
    assert states(world)[0] == "active"
    Worker(world.services).turn()

    assert ended(world) == (
        "terminated",
        "operator",
        "revoked",
        "dpv:ConsentRevoked",
        "organisation-suspended",
    )
    assert all_of(world, KeyWrap, None, KeyWrap.by_kind.in_(["grant", "token"])) == []
    assert [each.kind for each in owed_now(world)] == ["stop", "delete"]


def test_reinstating_revives_nothing(world, aysel, shop, connected):
    """CM-10: it may ask again, and that is a new agreement."""
    suspend(world, shop)
    with pytest.raises(ConflictError):
        suspend(world, shop, Standing.GOOD)
    Worker(world.services).turn()

    assert suspend(world, shop, Standing.GOOD) is True

    assert problem(connected.get("/v1/records")) == (403, "consent-terminated")
    assert shop.client.refresh(connected.refresh_token).status_code == 400
    again = world.connect(aysel, shop, connected.template)
    assert again.get("/v1/records").status_code == 200
    assert all_of(world, Agreement, Agreement.created_at)[-1].supersedes == connected.agreement_id


@pytest.mark.parametrize("standing", [Standing.SUSPENDED, Standing.REMOVED])
def test_who_is_excluded_still_answers_for_what_it_owes_and_does_nothing_else(
    world, shop, connected, standing
):
    """CM-7, CM-10: a token of scope `obligations`; none that reads, asks or renews."""
    token = shop.client.client_credentials("organisation obligations").json()["access_token"]
    suspend(world, shop, standing)
    Worker(world.services).turn()
    owed = deletion(world)
    ids = sorted(str(each.id) for each in owed_now(world))

    fresh = shop.client.client_credentials("obligations").json()["access_token"]
    listed = [shop.get("/v1/obligations", each).json()["obligations"] for each in (token, fresh)]

    assert [sorted(one["id"] for one in each) for each in listed] == [ids] * 2
    receipt = deletion_receipt.sign(
        deletion_receipt.build(erased(world, owed)), shop.signing_key, shop.kid
    )
    answer = shop.post(f"/v1/obligations/{owed.id}/confirmation", fresh, receipt)
    assert (answer.status_code, answer.json()["state"]) == (200, "confirmed")

    assert shop.client.client_credentials("organisation").json()["error"] == "invalid_scope"
    assert shop.client.refresh(connected.refresh_token).json()["error"] == "unauthorized_client"
    details = shop.details(connected.template)
    assert shop.client.push(pkce_pair()[1], details=details).status_code == 400
    for path in ("/v1/connections", "/v1/changes", "/v1/templates", "/v1/webhooks"):
        assert shop.get(path, fresh).status_code == 403, path
        assert shop.get(path, token).status_code == 401, path


def test_a_token_without_the_scope_for_it_falls_with_the_standing(world, shop):
    token = shop.organisation_token()
    assert shop.get("/v1/obligations", token).status_code == 200

    suspend(world, shop)

    assert shop.get("/v1/obligations", token).status_code == 401


def erased(world, owed):
    return deletion_receipt.DeletionFacts(
        connection=str(owed.connection_id),
        agreement=str(owed.agreement_id),
        requested_at=rfc3339(owed.created_at),
        erased_at=rfc3339(world.services.clock.now()),
        outcome=deletion_receipt.Outcome.ERASED,
        reason=None,
        items={"contact": 1},
        connector="test 1",
        verified_by_reread=True,
    )


def test_a_paused_agreement_of_a_suspended_organisation_ends_too(world, aysel, shop, connected):
    world.services.pauses.pause(aysel.visitor.vault, connected.agreement_id)
    suspend(world, shop, Standing.REMOVED)
    Worker(world.services).turn()

    assert ended(world)[0::4] == ("terminated", "organisation-removed")


def test_removal_is_for_good(world, shop):
    suspend(world, shop, Standing.REMOVED)

    assert suspend(world, shop, Standing.REMOVED) is False
    for standing in (Standing.GOOD, Standing.SUSPENDED):
        with pytest.raises(ConflictError):
            suspend(world, shop, standing)


def test_ending_goes_on_where_it_was_stopped(world, shop):
    """P-30: batch by batch; what is left is what still lives."""
    template = shop.publish(required=[EMAIL])
    for login in ("aysel", "leyla", "murad"):
        world.connect(world.person(login), shop, template)
    suspend(world, shop)
    services = world.services

    def batch(session):
        return services.endings.end_excluded(session, shop.id, now=services.clock.now(), limit=2)

    assert [services.uow.write(batch) for _ in range(3)] == [2, 1, 0]
    assert {each.state for each in all_of(world, Grant)} == {"revoked"}


def test_nothing_ends_of_an_organisation_in_good_standing(world, shop, connected):
    services = world.services

    ended_now = services.uow.write(
        lambda session: services.endings.end_excluded(session, shop.id, now=services.clock.now())
    )

    assert ended_now == 0
    assert connected.get("/v1/records").status_code == 200


def test_a_deposit_decided_before_a_suspension_is_thrown_away(world, aysel, shop, monkeypatch):
    """P-7, P-30: the standing is in the statement that commits."""
    template = shop.publish(required=[EMAIL], actions=["read", "write"])
    connected = world.connect(aysel, shop, template, ask={"actions": ["read", "write"]})
    prepare = deposits.prepare

    def suspended_meanwhile(*args):
        sealed = prepare(*args)
        suspend(world, shop)
        return sealed

    monkeypatch.setattr(deposits, "prepare", suspended_meanwhile)
    answer = connected.post(
        "/v1/records/contact", {"document_id": "d1", "data": {"email": "b@example.com"}}
    )

    assert problem(answer) == (409, "consent-changed")
    assert all_of(world, Deposit) == []
