"""Receipts and obligations (CM-5, CM-7, CM-16 to CM-18, CUX-23, CUX-24, LEAD-1, P-31)."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import select

from api.worker import Worker
from consent import notices, obligations, receipts
from consent.formats import canonical, deletion_receipt, obligation_answer
from consent.formats.obligation_answer import AnswerFacts, Kind
from consent.formats.obligation_answer import Outcome as AnswerOutcome
from consent.formats.trust import Trust
from consent.formats.verify import verify_bundle, verify_receipt
from consent.log.entries import EntryRef
from consent.log.evidence import build_bundle, streams_of_vault
from consent.log.reader import prove
from consent.models import Event, Obligation, Receipt
from pds.clock import rfc3339
from pds.errors import NotFoundError, ValidationFailedError
from tests.support.reading import page

EMAIL, NAME = "contact.email", "profile.given_name"


@pytest.fixture
def aysel(world):
    aysel = world.person()
    aysel.save("contact", email="receipt-canary@example.com")
    return aysel


@pytest.fixture
def shop(world):
    return world.organisation()


@pytest.fixture
def connected(world, aysel, shop):
    return world.connect(aysel, shop, shop.publish(required=[EMAIL], optional=[NAME]))


def rows(world, model):
    with world.services.uow.read() as session:
        return session.scalars(select(model)).all()


def documents(world):
    found = sorted(rows(world, Receipt), key=lambda one: (one.created_at, one.stream_seq))
    return [canonical.parse(one.document) for one in found]


def trust(world, **more):
    issuer = world.services.receipts
    return Trust(
        log_keys=(world.services.log_signer.verifier,),
        receipt_keys={issuer.kid: issuer.key.public_key().public_bytes_raw()},
        **more,
    )


def sidecar(world, row):
    with world.services.uow.read() as session:
        proof = prove(session, row.bucket, EntryRef(row.stream, row.stream_seq))
    return proof.to_text() if proof else None


def test_each_decision_and_each_end_has_a_receipt_that_verifies(world, connected):
    """CUX-24, P-31: the inclusion proof comes with the next checkpoint."""
    connected.withdraw()
    (given, _) = rows(world, Receipt)
    report = verify_receipt(canonical.parse(given.document), None, trust(world))
    assert report.verdict.name == "VERIFIED", report.to_dict()

    Worker(world.services).turn()

    for row in rows(world, Receipt):
        report = verify_receipt(canonical.parse(row.document), sidecar(world, row), trust(world))
        assert report.verdict.name == "VERIFIED", report.to_dict()
        assert [check.outcome.value for check in report.checks].count("passed") == 3


def test_a_receipt_says_what_was_agreed_and_what_was_not(world, connected):
    """CM-16, CM-18."""
    (given,) = documents(world)
    record = given["dpv:hasRecordOfActivity"][0]
    (process,) = record["dpv:hasProcess"]

    assert [item["attribute_id"] for item in process["dpv:hasPersonalData"]] == [EMAIL]
    assert record["denied_attributes"] == [NAME]
    assert record["agreement"]["id"] == str(connected.agreement_id)
    assert record["grant_ids"] == [connected.body["grant_id"]]
    assert (
        record["agreement"]["sha256"]
        == connected.body["authorization_details"][0]["agreement_sha256"]
    )


def test_a_receipt_holds_no_personal_value_and_no_name_of_the_vault(world, aysel, connected):
    """CM-17, P-29: the person is a name that this organisation alone knows."""
    connected.withdraw()

    text = json.dumps(documents(world))

    assert "receipt-canary" not in text
    assert str(aysel.vault_id) not in text
    assert aysel.vault_id.hex not in text


@pytest.mark.usefixtures("connected")
def test_the_notice_that_was_shown_is_found_by_its_hash(world):
    """CM-18, AUD-4, VOC-8."""
    (given,) = documents(world)
    shown = given["dpv:hasRecordOfActivity"][0]["dpv:hasNotice"]

    with world.services.uow.read() as session:
        notice = notices.find(session, shown["sha256"])

    assert notices.notice_sha256(notice) == shown["sha256"]
    assert notice["purpose_text"].startswith("We want your contact details")


def test_the_receipt_of_an_end_tells_the_whole_history_and_what_is_owed(world, connected):
    """CM-15, CM-7."""
    connected.withdraw(request_deletion=True)
    _, ended = documents(world)
    record = ended["dpv:hasRecordOfActivity"][0]

    assert [status["@type"][0] for status in record["dpv:hasConsentStatus"]] == [
        "dpv:ConsentGiven",
        "dpv:ConsentWithdrawn",
    ]
    assert [owed["kind"] for owed in record["obligations"]] == ["stop", "delete"]


@pytest.mark.usefixtures("connected")
def test_receipts_are_given_to_their_person_alone(world, aysel):
    """SEC-S23."""
    leyla = world.person("leyla")
    (row,) = rows(world, Receipt)
    mine, hers = aysel.visitor.vault, leyla.visitor.vault

    with world.services.uow.read() as session:
        assert receipts.get(session, mine.bucket, mine.id, row.id).id == row.id
        for vault, one in ((hers, row.id), (mine, uuid4())):
            with pytest.raises(NotFoundError):
                receipts.get(session, vault.bucket, vault.id, one)
        assert receipts.of_vault(session, hers.bucket, hers.id) == []


def test_the_evidence_of_a_vault_verifies_offline_with_its_receipts(world, aysel, connected):
    """LEAD-1, LOG-25, LOG-26: every read lies inside a live consent."""
    page(connected)
    connected.withdraw()
    connected.get("/v1/records")
    aysel.sign_in()
    Worker(world.services).turn()
    vault = aysel.visitor.vault
    with world.services.uow.read() as session:
        streams = streams_of_vault(session, vault.bucket, vault.id)
        bundle = build_bundle(session, streams).to_bytes()

    report = verify_bundle(bundle, trust(world))

    assert report.verdict.name == "VERIFIED", report.to_dict()
    assert b"receipt-canary" not in bundle


@pytest.mark.tampers
@pytest.mark.usefixtures("monkeypatch")
def test_a_read_outside_of_consent_is_found_by_the_verifier(world, aysel, connected):
    """LOG-26: a server that goes on reading after a withdrawal is caught by its own log."""
    page(connected)
    connected.withdraw()
    (row,) = [event for event in rows(world, Event) if event.name == "data.read"]

    def job(session):
        grant = world.services.ids.bucket_of(row.grant_id)
        seq = max(event.seq for event in rows(world, Event) if event.stream == row.stream) + 1
        world.services.log.append(
            session,
            bucket=grant,
            stream=row.stream,
            seq=seq,
            name="data.read",
            at=world.services.clock.now() + timedelta(minutes=2),
            vault_id=row.vault_id,
            grant_id=row.grant_id,
            collections=("contact",),
            purpose="customer_management",
            agreement_sha256=documents(world)[0]["dpv:hasRecordOfActivity"][0]["agreement"][
                "sha256"
            ],
            count=1,
        )

    world.services.uow.write(job)
    Worker(world.services).turn()
    vault = aysel.visitor.vault
    with world.services.uow.read() as session:
        streams = streams_of_vault(session, vault.bucket, vault.id)
        bundle = build_bundle(session, streams).to_bytes()

    report = verify_bundle(bundle, trust(world))

    assert report.verdict.name == "FAILED"


def facts(world, owed, **changes):
    now = rfc3339(world.services.clock.now())
    return replace(
        deletion_receipt.DeletionFacts(
            connection=str(owed.connection_id),
            agreement=str(owed.agreement_id),
            requested_at=rfc3339(owed.created_at),
            erased_at=now,
            outcome=deletion_receipt.Outcome.ERASED,
            reason=None,
            items={"contact": 1},
            connector="test 1",
            verified_by_reread=True,
        ),
        **changes,
    )


def signed(organisation, what):
    built = deletion_receipt.build(what)
    return deletion_receipt.sign(built, organisation.signing_key, organisation.kid)


@pytest.fixture
def owed(world, connected):
    connected.withdraw(request_deletion=True)
    return obligation(world, "delete")


def obligation(world, kind):
    (found,) = (each for each in rows(world, Obligation) if each.kind == kind)
    return found


def confirm(world, shop, owed, answer):
    keys = {shop.kid: shop.signing_key.public_key().public_bytes_raw()}
    return world.services.obligations.confirm(
        owed.id, organisation_id=shop.id, answer=answer, keys=keys
    )


def answered(world, organisation, owed, **changes):
    facts = AnswerFacts(
        obligation=str(owed.id),
        agreement=str(owed.agreement_id),
        kind=Kind(owed.kind),
        outcome=AnswerOutcome.DONE,
        reason=None,
        answered_at=rfc3339(world.services.clock.now()),
    )
    built = obligation_answer.build(replace(facts, **changes))
    return obligation_answer.sign(built, organisation.signing_key, organisation.kid)


def test_a_deletion_receipt_settles_the_obligation_and_is_kept_as_evidence(world, shop, owed):
    """LEAD-4, CM-7."""
    receipt = signed(shop, facts(world, owed))

    for _ in range(2):
        assert confirm(world, shop, owed, receipt).state == "confirmed"

    assert canonical.parse(obligation(world, "delete").evidence) == receipt
    names = [event.name for event in rows(world, Event)]
    assert names.count("erasure.confirmed") == 1


def test_whoever_deleted_has_stopped_too(world, shop, owed):
    receipt = signed(shop, facts(world, owed))

    confirm(world, shop, owed, receipt)

    stop = obligation(world, "stop")
    assert (stop.state, canonical.parse(stop.evidence)) == ("confirmed", receipt)


def test_to_stop_and_to_tell_others_are_answered_by_a_form_of_their_own(world, aysel, shop):
    """CM-7, LEAD-4: there is one to tell others only where there are others."""
    template = shop.publish(required=[EMAIL], recipients=["Kuryer MMC"])
    world.connect(aysel, shop, template).withdraw()
    stop, notify = obligation(world, "stop"), obligation(world, "notify")
    assert notify.due_at == obligation(world, "delete").due_at

    for _ in range(2):
        assert confirm(world, shop, stop, answered(world, shop, stop)).state == "confirmed"
    kept = answered(
        world, shop, notify, outcome=AnswerOutcome.RETAINED, reason="impossible_to_reach"
    )
    assert confirm(world, shop, notify, kept).state == "retained_with_basis"
    assert confirm(world, shop, notify, answered(world, shop, notify)).state == "confirmed"

    assert obligation(world, "delete").state == "due"
    log = [event.name for event in rows(world, Event)]
    answers = [name for name in log if name.startswith("obligation.")]
    assert answers == ["obligation.stop_answered", *["obligation.notify_answered"] * 2]


def test_an_answer_settles_nothing_but_its_own_obligation(world, aysel, shop):
    template = shop.publish(required=[EMAIL], recipients=["Kuryer MMC"])
    world.connect(aysel, shop, template).withdraw()
    stop, notify, owed = (obligation(world, kind) for kind in ("stop", "notify", "delete"))
    bank = world.organisation("Bank")
    wrong = [
        (stop, answered(world, shop, notify)),
        (stop, answered(world, shop, stop, kind=Kind.NOTIFY)),
        (stop, answered(world, shop, stop, agreement=str(uuid4()))),
        (stop, answered(world, bank, stop)),
        (stop, answered(world, shop, stop) | {"outcome": "retained"}),
        (stop, signed(shop, facts(world, owed))),
        (owed, answered(world, shop, stop, obligation=str(owed.id))),
        (stop, answered(world, shop, stop) | {"type": "pds-agreement/1"}),
        (stop, {"type": []}),
    ]

    for each, answer in wrong:
        with pytest.raises(ValidationFailedError):
            confirm(world, shop, each, answer)

    assert {each.state for each in rows(world, Obligation)} == {"due"}


def test_what_is_kept_with_a_reason_is_said_so(world, shop, owed):
    blocked = facts(
        world,
        owed,
        outcome=deletion_receipt.Outcome.BLOCKED,
        erased_at=None,
        reason="legal_hold",
        items={},
        verified_by_reread=False,
    )

    assert confirm(world, shop, owed, signed(shop, blocked)).state == "retained_with_basis"
    erased = signed(shop, facts(world, owed))
    assert confirm(world, shop, owed, erased).state == "confirmed"


def test_a_deletion_receipt_of_another_agreement_settles_nothing(world, shop, owed):
    for change in ({"agreement": str(uuid4())}, {"connection": str(uuid4())}):
        with pytest.raises(ValidationFailedError):
            confirm(world, shop, owed, signed(shop, facts(world, owed, **change)))

    assert {each.state for each in rows(world, Obligation)} == {"due"}


def test_a_deletion_receipt_by_another_key_settles_nothing(world, shop, owed):
    bank = world.organisation("Bank")
    forged = signed(bank, facts(world, owed))
    changed = signed(shop, facts(world, owed)) | {"verified_by_reread": False}

    for receipt in (forged, changed, {}, None, "x"):
        with pytest.raises(ValidationFailedError):
            confirm(world, shop, owed, receipt)
    with pytest.raises(NotFoundError):
        confirm(world, bank, owed, forged)


def test_an_obligation_past_its_day_is_overdue_to_its_person(world, clock, owed):
    """CM-7: computed, never stored."""
    assert obligations.shown_state(owed, clock.now()) == "due"

    clock.move(days=31)

    assert obligations.shown_state(owed, clock.now()) == "overdue"
    assert {each.state for each in rows(world, Obligation)} == {"due"}
