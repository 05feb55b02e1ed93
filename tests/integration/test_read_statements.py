"""What one consented read sends to the store (P-7)."""

from __future__ import annotations

import pytest

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
