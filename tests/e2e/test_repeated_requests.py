"""An organisation repeats a request whose answer it lost (ORG-10, CM-13)."""

from __future__ import annotations

from uuid import uuid4

import pytest
from sqlalchemy import select

from consent.formats import deletion_receipt, jws
from consent.formats.deletion_receipt import DeletionFacts, Outcome
from consent.models import ConsentEvent, Obligation, TemplateVersion
from consent.template_format import TYPE
from pds.clock import rfc3339
from tests.support.world import template_document

EMAIL = "contact.email"


def rows(world, model):
    with world.services.uow.read() as session:
        return list(session.scalars(select(model)))


def termination(connected):
    path = f"/v1/agreements/{connected.agreement_id}/termination"
    return path, {"reason": "service-ended"}, {"reason": "other"}


def confirmation(connected):
    shop, world = connected.organisation, connected.person.world
    connected.withdraw()
    (owed,) = (each for each in rows(world, Obligation) if each.kind == "delete")
    now = rfc3339(world.services.clock.now())

    def receipt(count):
        built = deletion_receipt.build(
            DeletionFacts(
                connection=str(owed.connection_id),
                agreement=str(owed.agreement_id),
                requested_at=rfc3339(owed.created_at),
                erased_at=now,
                outcome=Outcome.ERASED,
                reason=None,
                items={"contact": count},
                connector="test 1",
                verified_by_reread=True,
            )
        )
        return deletion_receipt.sign(built, shop.signing_key, shop.kid)

    return f"/v1/obligations/{owed.id}/confirmation", receipt(1), receipt(2)


def publication(connected):
    shop = connected.organisation
    first = template_document(shop.id, required=[EMAIL])
    second = first | {"version": 2, "max_duration": "P30D"}
    signed = (jws.sign(each, shop.signing_key, kid=shop.kid, typ=TYPE) for each in (first, second))
    return "/v1/templates", *signed


@pytest.mark.parametrize(
    "what", [termination, confirmation, publication], ids=lambda what: what.__name__
)
def test_the_effect_of_a_repeated_request_comes_once(world, aysel, what):
    shop = world.organisation("Shop")
    connected = world.connect(aysel, shop, shop.publish(required=[EMAIL]))
    path, body, other = what(connected)
    key = {"Idempotency-Key": str(uuid4())}

    def send(content):
        return shop.post(path, shop.organisation_token(), content, headers=key)

    first = send(body)
    left = [len(rows(world, model)) for model in (ConsentEvent, Obligation, TemplateVersion)]
    again, changed = send(body), send(other)

    assert first.status_code in {200, 201}
    assert (again.status_code, again.json()) == (first.status_code, first.json())
    assert (changed.status_code, changed.json()["errors"][0]["rule"]) == (422, "reused")
    assert left == [
        len(rows(world, model)) for model in (ConsentEvent, Obligation, TemplateVersion)
    ]


def test_a_refused_request_leaves_its_key_free(world, aysel):
    shop, bank = world.organisation("Shop"), world.organisation("Bank")
    connected = world.connect(aysel, shop, shop.publish(required=[EMAIL]))
    path, body, _ = termination(connected)
    key = {"Idempotency-Key": "one"}

    foreign = bank.post(path, bank.organisation_token(), body, headers=key)
    own = bank.post("/v1/templates", bank.organisation_token(), {}, headers=key)

    assert (foreign.status_code, own.status_code) == (404, 422)
    assert own.json()["errors"][0]["rule"] == "mismatch"
