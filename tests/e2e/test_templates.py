"""Publishing an agreement template: its versions, what differs, and what is found wrong (P-27)."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from click.testing import CliRunner
from sqlalchemy import select

from api import cli
from consent import limits
from consent.clauses import CURRENT
from consent.formats import jws
from consent.formats.encoding import b64u
from consent.grants import read_terms
from consent.models import EventPayload
from consent.template_format import TYPE
from consent.vocabulary import Purpose
from tests.support.oauth_client import pkce_pair
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


def stricter(monkeypatch, **changes):
    """Let the table of limits become stricter, as a new version of the program may have it."""
    purpose = Purpose.SERVICE_PROVISION
    present = limits.LIMITS[purpose]
    most = replace(present.most, **changes)
    table = dict(limits.LIMITS) | {purpose: replace(present, most=most, usual=most)}
    monkeypatch.setattr(limits, "LIMITS", table)
    read_terms.cache_clear()


def test_a_template_beyond_the_limits_of_its_purpose_is_not_published(shop):
    """LEAD-6: refused before a person sees it, with the rule named."""
    document = template_document(
        shop.id, required=[EMAIL, "health.allergies"], purpose="direct_marketing"
    )

    answer = post(shop, document)

    assert answer.status_code == 422
    assert ("/attributes", "purpose.collection") in {
        (each["pointer"], each["rule"]) for each in answer.json()["errors"]
    }
    assert versions(shop, document["id"]).status_code == 404


@pytest.mark.parametrize(
    ("limit", "rule"),
    [
        ({"attributes": 0}, "purpose.attributes"),
        ({"fetches_per_day": 99}, "purpose.frequency"),
        ({"duration": timedelta(days=7)}, "purpose.duration"),
        ({"retention": timedelta(days=1)}, "purpose.retention"),
    ],
)
def test_a_request_beyond_the_limits_is_refused_as_it_is_pushed(shop, monkeypatch, limit, rule):
    """LEAD-6: also under a template that was published when more was allowed."""
    details = shop.details(shop.publish(required=[EMAIL]))
    stricter(monkeypatch, **limit)

    answer = shop.client.push(pkce_pair()[1], details=details)

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_authorization_details")
    assert rule in answer.json()["error_description"]


def test_a_request_that_asks_for_less_than_its_template_is_held_against_what_it_asks(
    shop, monkeypatch
):
    template = shop.publish(required=[EMAIL], optional=["contact.phone"])
    stricter(monkeypatch, attributes=1)

    def push(**members):
        return shop.client.push(pkce_pair()[1], details=shop.details(template, **members))

    assert push().status_code == 400
    assert push(optional=[]).status_code == 201


@pytest.mark.parametrize(
    "limit",
    [
        {"fetches_per_day": 99},
        {"duration": timedelta(days=29)},
        {"retention": timedelta(days=29)},
        {"attributes": 0},
    ],
    ids=["frequency", "duration", "retention", "attributes"],
)
def test_the_same_limits_are_checked_at_every_read(world, shop, aysel, monkeypatch, limit):
    """LEAD-6: what was agreed under a looser table is refused under a stricter one, and logged."""
    aysel.save("contact", email="aysel@poct.example")
    connected = world.connect(aysel, shop, shop.publish(required=[EMAIL]))
    assert connected.get("/v1/records").status_code == 200
    stricter(monkeypatch, **limit)

    answer = connected.get("/v1/records")

    assert answer.status_code == 403
    assert answer.json()["type"].endswith("/purpose-limit")
    assert "aysel" not in answer.text
    with world.services.uow.read() as session:
        last = session.scalars(select(EventPayload).order_by(EventPayload.event_id.desc())).first()
    assert b'"outcome":"purpose-limit"' in last.pub


def test_what_is_unusual_is_said_on_the_consent_page(world, shop, hers):
    """LEAD-6: flagged before it is decided on, and part of what is decided on (P-28)."""
    template = shop.publish(required=[EMAIL], access={"mode": "on_change", "fetches_per_day": 300})
    url = shop.client.authorization_url(world.push(shop, shop.details(template))[0])

    page = hers.get(url.removeprefix(world.issuer))

    assert "More than is usual for this purpose" in page.text
    assert "it would be read very often" in page.text


def test_limits_are_public(world):
    answer = world.http.get("/v1/limits")

    assert answer.json() == limits.public()
    assert (
        world.http.get("/v1/limits", headers={"If-None-Match": answer.headers["ETag"]}).status_code
        == 304
    )


@pytest.fixture
def written(tmp_path, shop):
    """Write templates to files."""

    def write(**members):
        path = tmp_path / "template.json"
        document = template_document(shop.id, **({"required": [EMAIL]} | members))
        path.write_text(json.dumps(document), "utf-8")
        return path

    return write


def linted(path):
    result = CliRunner().invoke(cli.main, ["template", "lint", str(path)])
    return result.exit_code, json.loads(result.stdout) if result.stdout else result.stderr


def test_a_template_is_linted_before_it_is_published(written):
    assert linted(written()) == (0, {"ok": True, "errors": [], "flags": []})
    code, found = linted(written(access={"mode": "periodic", "fetches_per_day": 300}))
    assert (code, found["ok"], found["flags"][0]["rule"]) == (0, True, "purpose.frequency")
    code, found = linted(written(max_duration="P400D"))
    assert (code, found["errors"][0]["pointer"]) == (1, "/max_duration")
    code, found = linted(written(purpose="everything"))
    assert (code, found["errors"][0]["pointer"]) == (1, "/purpose")


@pytest.mark.parametrize("text", ["{", "1.5", '{"a":1,"a":2}', "[]", ""])
def test_what_is_no_template_is_no_trace_of_ours(tmp_path, text):
    path = tmp_path / "x.json"
    path.write_text(text)

    result = CliRunner().invoke(cli.main, ["template", "lint", str(path)])

    assert result.exit_code == 1
    assert "Traceback" not in result.output


def test_the_operator_sees_what_a_new_version_changes(world, shop, written, tmp_path):
    """LEAD-12."""
    (world.store.settings.instance / "pds.toml").write_text(
        "[server]\ninsecure_loopback = true\n", "utf-8"
    )
    key = tmp_path / "key.json"
    seed = shop.signing_key.private_bytes_raw()
    key.write_text(json.dumps({"kid": shop.kid, "d": b64u(seed)}), "utf-8")
    shared = {"id": str(shop.id)}

    def publish(**members):
        arguments = ["organisation", "publish", str(written(**shared, **members))]
        arguments += ["--key", str(key), "--instance", str(world.store.settings.instance)]
        result = CliRunner().invoke(cli.main, arguments)
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    first, second = publish(), publish(version=2, max_duration="P30D")

    assert (first["version"], first["differences"]) == (1, [])
    assert second["differences"] == [
        {"pointer": "/max_duration", "weight": "material", "before": "P365D", "after": "P30D"}
    ]
