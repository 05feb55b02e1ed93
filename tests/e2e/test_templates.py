"""Publishing an agreement template: its versions, what differs, and what is found wrong (P-27)."""

from __future__ import annotations

import pytest

from consent.clauses import CURRENT
from consent.formats import jws
from consent.template_format import TYPE
from tests.support.world import template_document, wording

EMAIL = "contact.email"


@pytest.fixture
def shop(world):
    """Give an organisation."""
    return world.organisation("Shop")


def post(shop, document):
    """Publish as the organisation does."""
    signed = jws.sign(document, shop.signing_key, kid=shop.kid, typ=TYPE)
    return shop.post("/v1/templates", shop.organisation_token(), signed)


def versions(shop, template_id):
    """Read a template's history."""
    return shop.get(f"/v1/templates/{template_id}/versions", shop.organisation_token())


def test_the_history_of_a_template_tells_what_each_version_changed(shop):
    """LEAD-12."""
    first = template_document(shop.id, required=[EMAIL])
    changed = {"version": 2, "name": wording("Card"), "max_duration": "P30D"}
    assert post(shop, first).status_code == 201
    assert post(shop, first | changed).status_code == 201

    one, two = versions(shop, first["id"]).json()["versions"]

    assert (one["version"], one["state"], one["differences"]) == (1, "superseded", [])
    assert (two["version"], two["state"]) == (2, "published")
    assert {each["pointer"]: each["weight"] for each in two["differences"]} == {
        "/name/az": "cosmetic",
        "/name/en": "cosmetic",
        "/max_duration": "material",
    }
    assert ("P365D", "P30D") in {(each["before"], each["after"]) for each in two["differences"]}


def test_the_history_is_its_organisations_own(world, shop):
    """SEC-S23: not yours and not there are one answer."""
    template = shop.publish(required=[EMAIL])
    bank = world.organisation("Bank")

    assert versions(shop, template.id).status_code == 200
    assert versions(bank, template.id).status_code == 404
    assert versions(bank, bank.id).status_code == 404
    assert world.http.get(f"/v1/templates/{template.id}/versions").status_code == 401


def test_every_fault_of_a_template_comes_with_a_pointer_a_rule_and_what_to_do(shop):
    """RFC 6901."""
    document = template_document(shop.id, required=[EMAIL, "contact.nothing"], clauses="0" * 64)

    answer = post(shop, document)

    assert answer.status_code == 422
    errors = {each["pointer"]: each for each in answer.json()["errors"]}
    assert {where: each["rule"] for where, each in errors.items()} == {
        "/attributes/1/name": "unknown_attribute",
        "/clauses": "not_current",
    }
    assert CURRENT.sha256 in errors["/clauses"]["detail"]


def test_the_uniform_clauses_are_public_and_known_by_their_hash(world):
    answer = world.http.get("/v1/clauses")

    assert answer.json() == CURRENT.document | {"sha256": CURRENT.sha256}
    again = world.http.get("/v1/clauses", headers={"If-None-Match": answer.headers["ETag"]})
    assert again.status_code == 304


def test_a_version_that_was_published_once_is_published_still(shop):
    """The same bytes change nothing, also when the clauses in force have changed since."""
    document = template_document(shop.id, required=[EMAIL])

    assert post(shop, document).json() == post(shop, document).json()
    assert len(versions(shop, document["id"]).json()["versions"]) == 1
