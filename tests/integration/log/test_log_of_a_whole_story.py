"""What the services log is what a stranger can verify (LOG-25, LOG-26, P-31, P-33)."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select

from api.worker import Worker
from consent.formats.trust import Trust
from consent.formats.verify import verify_bundle, verify_receipt
from consent.log import evidence, reader
from consent.log.entries import EntryRef
from consent.models import Agreement, FeedEntry, FeedPending
from tests.support.world import World


@pytest.fixture
def world(store, clock):
    world = World(store, clock=clock)
    yield world
    world.close()


@pytest.fixture
def connected(world):
    organisation = world.organisation()
    template = organisation.publish(required=["contact.email"], optional=["contact.phone"])
    person = world.person()
    person.save("contact", email="aysel@example.com", label="home")
    return world.connect(person, organisation, template, duration="P30D")


def work(world):
    """Do what is due, once, and let the next one in."""
    worker = Worker(world.services)
    worker.turn()
    worker.stop()


def trust(world):
    receipt_key = world.services.receipts.key.public_key().public_bytes_raw()
    return Trust(
        log_keys=(world.services.log_signer.verifier,),
        receipt_keys={world.services.receipts.kid: receipt_key},
    )


def everything(world):
    now = world.services.clock.now()
    with world.store.uow.read() as session:
        long = timedelta(days=400)
        streams = evidence.streams_of_period(session, now - long, now + long)
        return evidence.build_bundle(session, streams)


def names(bundle, stream):
    parts = [one.event.pub for one in bundle.entries if one.event.pub.stream == stream]
    return [part.event for part in sorted(parts, key=lambda part: part.seq)]


def test_a_whole_story_is_verified_from_outside(world, connected):
    answer = connected.get("/v1/records")
    connected.withdraw()
    assert connected.get("/v1/records").status_code in {401, 403}
    work(world)

    bundle = everything(world)
    report = verify_bundle(bundle.to_bytes(), trust(world))

    assert (report.verdict, report.failures) == ("VERIFIED", ())
    reference = EntryRef.parse(answer.headers["PDS-Log-Entry"])
    logged = names(bundle, reference.stream)
    assert logged[reference.seq - 1] == "data.read"
    assert "consent.given" in logged[: reference.seq]
    assert "consent.withdrawn" in logged[reference.seq :]


def test_the_entry_that_an_answer_names_is_proved(world, connected):
    """P-33: what a client keeps is what it can ask for later."""
    reference = EntryRef.parse(connected.get("/v1/records").headers["PDS-Log-Entry"])
    work(world)
    bucket = connected.person.visitor.vault.bucket

    with world.store.uow.read() as session:
        proof = reader.prove(session, bucket, reference)
        opening = reader.find(session, bucket, reference).opening

    proof.verify(opening.entry(), log_keys=trust(world).log_keys)
    assert opening.pub.outcome == "ok"


def test_each_receipt_verifies_with_its_proof(world, connected):
    connected.withdraw()
    work(world)
    bucket = connected.person.visitor.vault.bucket

    receipts = everything(world).receipts
    for receipt in receipts:
        reference = EntryRef(receipt["log"]["stream"], receipt["log"]["seq"])
        with world.store.uow.read() as session:
            sidecar = reader.prove(session, bucket, reference)
        report = verify_receipt(receipt, sidecar.to_text(), trust(world))
        assert (report.verdict, report.failures) == ("VERIFIED", ())
    assert len(receipts) == 2


def test_the_worker_ends_an_agreement_at_its_time(world, clock, connected):
    work(world)
    clock.move(days=30)

    work(world)
    work(world)

    with world.store.uow.read() as session:
        state = session.scalar(
            select(Agreement.state).where(Agreement.id == connected.agreement_id)
        )
    bundle = everything(world)
    report = verify_bundle(bundle.to_bytes(), trust(world))
    assert state == "expired"
    assert (report.verdict, report.failures) == ("VERIFIED", ())
    assert "consent.expired" in [one.event.pub.event for one in bundle.entries]


def test_a_change_of_agreed_data_reaches_the_organisations_feed(world, connected):
    """P-24: numbered by the worker, and only what was agreed."""
    work(world)
    before = feed(world)
    connected.person.save("contact", phone="+994501234567", label="mobile")
    work(world)
    assert feed(world) == before

    connected.person.save("contact", email="work@example.com", label="work")
    work(world)

    assert len(feed(world)) == len(before) + 1
    assert [number for number, _ in feed(world)] == list(range(1, len(feed(world)) + 1))


def feed(world):
    with world.store.uow.read() as session:
        assert not session.scalars(select(FeedPending)).all()
        rows = session.execute(select(FeedEntry.number, FeedEntry.event).order_by(FeedEntry.number))
        return [tuple(row) for row in rows]
