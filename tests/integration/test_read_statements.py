"""What one consented read sends to the store (P-7)."""

from __future__ import annotations

import hashlib

import pytest
from sqlalchemy import select

from consent.log import reader
from consent.log.opening import Opener
from pds.models import Record
from tests.support.statements import recorded


@pytest.fixture
def connected(world, aysel, shop):
    aysel.save("contact", email="a@example.com")
    return world.connect(aysel, shop, shop.publish(required=["contact.email"]))


@pytest.mark.parametrize("what", ["page", "record"])
def test_a_read_is_two_reads_and_one_write_job(world, connected, what):
    """P-7: the live grant, the records, and one job for proof, number and entry."""
    (first,) = connected.get("/v1/records").json()["records"]
    path = "/v1/records" if what == "page" else f"/v1/records/contact/{first['id']}"

    with recorded(world) as found:
        answer = connected.get(path)

    assert answer.status_code == 200
    assert len(found.reads) == 2
    assert [len(job) for job in found.jobs] == [5 if world.store.kind == "sqlite" else 3]


@pytest.mark.parametrize("what", ["page", "record"])
def test_the_owner_learns_which_version_was_read_from_which_box(world, aysel, connected, what):
    """P-32, LOG-8: id, version and hash of the box of each record, in the private part alone."""
    (first,) = connected.get("/v1/records").json()["records"]
    connected.get("/v1/records" if what == "page" else f"/v1/records/contact/{first['id']}")

    visitor = aysel.visitor
    with world.services.uow.read() as session:
        newest = reader.vault_events(session, visitor.vault.bucket, visitor.vault.id, limit=1)[0]
        row = session.scalars(select(Record)).one()
        private = Opener(visitor.open_vault)(newest)
        box = hashlib.sha256(row.box).hexdigest()

    assert newest.name == "data.read"
    assert private.priv["records"] == [[str(row.id), 1, box]]
    assert box not in str(newest.opening)


def test_a_page_of_records_is_one_entry_that_counts_them(world, aysel, shop):
    """LOG-15"""
    for topic in ("chess", "go", "whist"):
        aysel.save("interests", topic=topic)
    reads = world.connect(aysel, shop, shop.publish(required=["interests.topic"]))
    assert len(reads.get("/v1/records").json()["records"]) == 3

    with world.services.uow.read() as session:
        vault = aysel.visitor.vault
        found = reader.vault_events(session, vault.bucket, vault.id, limit=9)

    assert [each.opening.pub.count for each in found if each.name == "data.read"] == [3]


def test_a_list_of_connections_is_one_statement_however_long(world, shop):
    template = shop.publish(required=["contact.email"])
    shop.organisation_token()
    asked = []
    for login in ("aysel", "leyla", "murad"):
        world.connect(world.person(login), shop, template)
        with recorded(world) as found:
            answer = shop.get("/v1/connections?limit=1000", shop.organisation_token())
        asked.append([each for each in found.reads if "FROM connections" in each])

    assert len(answer.json()["connections"]) == 3
    assert [len(each) for each in asked] == [1, 1, 1]
    assert {each["template"]["sha256"] for each in answer.json()["connections"]} == {
        template.sha256
    }
