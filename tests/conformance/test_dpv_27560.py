"""Receipts as the server issues them, against ISO/IEC TS 27560 in DPV 2.3 terms (CM-16 to CM-19).

Level A: the structure, field by field. Level B: the notice precedes the decision, the versions are
bound, recipients are explicit. For the decisions of a person: all, a part, a refusal, a deferral.
"""

from __future__ import annotations

import re

import pytest
from sqlalchemy import select

from consent import notices
from consent.formats import canonical, receipt
from consent.models import AgreementVersion, Receipt, TemplateVersion
from tests.support.vectors import load
from tests.support.world import wording
from tests.support.worlds import TickingClock, world_on

DPV = load("dpv-2.3-terms")
EMAIL, BIRTH, PHONE = "contact.email", "demographics.birth_date", "contact.phone"
DECISIONS = ("all", "part", "refusal", "deferral")
STATUS = {
    "all": "dpv:ConsentGiven",
    "part": "dpv:ConsentGiven",
    "refusal": "dpv:ConsentRefused",
    "deferral": "dpv:ConsentRequestDeferred",
}
# TS 27560: what a receipt, its record, a process and an event may not lack.
RECEIPT = ("dct:conformsTo", "dct:identifier", "dct:created", "dct:publisher", "schema:recipient")
RECORD = (
    "dct:conformsTo", "dct:identifier", "dpv:hasDataSubject", "dpv:hasNotice",
    "dpv:hasDataController", "dpv:hasJurisdiction", "dpv:hasProcess", "dpv:hasConsentControl",
    "dpv:hasRight", "dpv:hasConsentStatus",
)  # fmt: skip
PROCESS = (
    "dpv:hasPurpose", "dpv:hasLegalBasis", "dpv:hasPersonalData", "dpv:hasRecipient",
    "dpv:hasStorageCondition",
)  # fmt: skip
EVENT = ("@type", "dpv:isIndicatedAtTime", "dpv:isIndicatedBy", "dpv:hasIndicationMethod")


@pytest.fixture(scope="module")
def issued(stores):
    """Give the world and the receipt of each decision."""
    with stores.migrated("sqlite") as store, world_on(store, clock=TickingClock()) as world:
        aysel, shop = world.person(), world.organisation()
        aysel.save("contact", email="canary@example.com")
        aysel.save("demographics", birth_date="1992-03-14")

        def opened():
            template = shop.publish(
                attributes=[{"name": EMAIL, "reason": wording("Needed.")}],
                optional_attributes=[
                    {"name": name, "reason": wording("Nice.")} for name in (BIRTH, PHONE)
                ],
                recipients=["Courier Ltd"],
            )
            return world.open_request(aysel, shop, world.push(shop, shop.details(template))[0])

        world.allow(aysel, opened(), optional=[BIRTH, PHONE])
        world.allow(
            aysel,
            opened(),
            optional=[BIRTH],
            duration="P7D",
            fetches_per_day=1,
            coarsenings={BIRTH: "age_band"},
        )
        world.refuse(aysel, opened())
        world.defer(aysel, opened())
        with world.services.uow.read() as session:
            rows = session.scalars(select(Receipt).order_by(Receipt.created_at)).all()
        yield (
            world,
            dict(zip(DECISIONS, (canonical.parse(row.document) for row in rows), strict=True)),
        )


@pytest.fixture(params=DECISIONS)
def decided(request, issued):
    """Give the receipt of one decision, with its record and its name."""
    found = issued[1][request.param]
    (record,) = found["dpv:hasRecordOfActivity"]
    return request.param, found, record


def texts(value):
    if isinstance(value, dict):
        for name, inner in value.items():
            yield name
            yield from texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from texts(inner)
    elif isinstance(value, str):
        yield value


def test_every_term_exists_in_dpv_2_3(decided):
    """CM-1, CM-19."""
    used = {match for text in texts(decided[1]) for match in re.findall(r"^(dpv|pd):(\w+)$", text)}

    assert len(used) > 20
    for vocabulary, term in used:
        assert term in DPV[vocabulary], term


def test_level_a_no_mandatory_field_is_missing_or_empty(decided):
    """CM-16, CM-18."""
    _, found, record = decided
    (process,) = record["dpv:hasProcess"]

    assert (found["@type"], record["@type"]) == ("dpv:ConsentReceipt", "dpv:ConsentRecord")
    for value, names in (
        (found, RECEIPT),
        (record, RECORD),
        (process, PROCESS),
        *((status, EVENT) for status in record["dpv:hasConsentStatus"]),
    ):
        for name in names:
            assert value[name] not in (None, "", [], {}), name
    for item in process["dpv:hasPersonalData"]:
        assert item["dpv:hasNecessity"] in ("dpv:Required", "dpv:Optional")


def test_level_a_the_status_is_that_of_the_decision(decided):
    name, _, record = decided
    (status,) = record["dpv:hasConsentStatus"]

    assert status["@type"][0] == STATUS[name]
    assert ("dpv:ExpressedConsent" in status["@type"]) == (name in {"all", "part"})
    assert status["dpv:isIndicatedBy"] == "dpv:DataSubject"


def test_level_b_the_notice_comes_first_and_is_bound_by_hash_and_language(issued, decided):
    """CM-18, P-28: the very text is found by the hash, and its language is said."""
    _, _, record = decided
    notice = record["dpv:hasNotice"]
    with issued[0].services.uow.read() as session:
        shown = notices.find(session, notice["sha256"])

    assert notice["dct:date"] <= record["dpv:hasConsentStatus"][0]["dpv:isIndicatedAtTime"]
    assert canonical.sha256_hex(shown) == notice["sha256"]
    assert notice["dct:language"] == shown["locale"] == "en"


def test_level_b_agreement_and_template_are_bound_by_hash(issued, decided):
    name, _, record = decided
    cited = record["agreement"]
    with issued[0].services.uow.read() as session:
        templates = set(session.scalars(select(TemplateVersion.sha256)))
        versions = set(session.scalars(select(AgreementVersion.sha256)))

    assert cited["template_sha256"] in templates
    assert (cited["sha256"] in versions) == (name in {"all", "part"})
    assert (cited["sha256"] is None) == (name in {"refusal", "deferral"})


def test_level_b_recipients_are_explicit(decided):
    (process,) = decided[2]["dpv:hasProcess"]

    assert process["dpv:hasRecipient"] == ["Xəzər Market", "Courier Ltd"]


def test_what_was_narrowed_is_said(issued):
    """CM-16: the form, the duration and the frequency of what was agreed."""
    (record,) = issued[1]["part"]["dpv:hasRecordOfActivity"]
    (process,) = record["dpv:hasProcess"]

    assert record["denied_attributes"] == [PHONE]
    assert {each["attribute_id"]: each["transform"] for each in process["dpv:hasPersonalData"]} == {
        EMAIL: "none",
        BIRTH: "coarsen:age_band",
    }
    assert process["access"]["frequency"] == "P1D/1"
    assert record["dpv:hasConsentStatus"][0]["dpv:hasDuration"]["rdf:value"] == "P7D"


def test_no_personal_value_is_inside_and_the_signature_holds(issued, decided):
    """CM-17."""
    issuer = issued[0].services.receipts

    assert not any("canary" in text or "1992-03" in text for text in texts(decided[1]))
    receipt.verify(decided[1], {issuer.kid: issuer.key.public_key().public_bytes_raw()})
