"""Every read lies inside a consent alive at that instant (LOG-26, AUD-6)."""

from __future__ import annotations

import pytest

from consent.formats.canonical import sha256_hex
from consent.formats.errors import MalformedError
from consent.formats.meaning import Terms
from consent.formats.report import Verdict
from consent.formats.verify import verify_bundle
from tests.support.evidence import PURPOSE, TERMS, VAULT_STREAM, MemoryLog

NARROWED = TERMS | {"attributes": ["contact.email"], "version": 2}


def judge(log):
    report = verify_bundle(log.bundle().to_bytes(), log.trust())
    return [(each.where.split()[-2].partition("/")[2], each.rule) for each in report.failures]


def given():
    log = MemoryLog(agreements=[TERMS, NARROWED])
    log.add("consent.requested")
    log.add("consent.given")
    return log


def test_reads_inside_the_consent_pass():
    log = given()
    log.read()
    log.read(collections=("contact", "profile"))
    log.read(collections=(), count=0)
    log.add("consent.withdrawn")
    log.add("data.read_denied", outcome="consent-withdrawn")

    assert verify_bundle(log.bundle().to_bytes(), log.trust()).verdict is Verdict.VERIFIED


@pytest.mark.parametrize(
    "end",
    [
        "consent.withdrawn",
        "consent.expired",
        "consent.terminated",
        "consent.fulfilled",
        "consent.invalidated",
    ],
)
def test_a_read_after_the_end_is_named(end):
    log = given()
    log.add(end)
    log.read()

    assert judge(log) == [("4", "read-after-end")]


def test_an_ended_consent_is_not_opened_again():
    """CM-6, CM-11: sharing again is another grant, another stream."""
    log = given()
    log.add("consent.withdrawn")
    log.add("consent.given")
    log.read()

    assert judge(log) == [("5", "read-after-end")]


def test_a_read_before_consent_is_named():
    log = MemoryLog()
    log.add("consent.requested")
    log.read()
    log.add("consent.given")

    assert judge(log) == [("2", "read-without-consent")]


def test_changed_terms_before_any_consent_permit_nothing():
    log = MemoryLog()
    log.add("consent.changed")
    log.read()

    assert judge(log) == [("2", "read-without-consent")]


def test_the_index_in_the_log_does_not_decide_but_the_number_in_the_stream():
    """Leaves are placed as they come (LOG-14); a later number may have an earlier index."""
    log = given()
    log.add("consent.withdrawn")
    log.read()
    log.events[2], log.events[3] = log.events[3], log.events[2]
    log.entries[2], log.entries[3] = log.entries[3], log.entries[2]

    assert judge(log) == [("4", "read-after-end")]


def test_a_read_while_paused_is_named_and_one_after_resuming_is_not():
    log = given()
    log.add("consent.paused")
    log.read()
    log.add("consent.resumed")
    log.read()

    assert judge(log) == [("4", "read-while-paused")]


def test_a_read_past_the_agreements_expiry_is_named():
    log = given()
    log.read("2026-03-31T11:59:00Z")
    log.read("2026-03-31T12:00:00Z")

    assert judge(log) == [("4", "read-after-expiry")]


def test_an_agreement_without_end_never_expires():
    terms = TERMS | {"expires_at": None}
    log = MemoryLog(agreements=[terms])
    log.add("consent.given", agreement_sha256=sha256_hex(terms))
    log.read("2036-03-31T12:00:00Z", agreement_sha256=sha256_hex(terms))

    assert judge(log) == []


@pytest.mark.parametrize(
    ("members", "rule"),
    [
        ({"collections": ("contact", "transactions")}, "read-outside-collections"),
        ({"purpose": "marketing"}, "read-for-another-purpose"),
        ({"purpose": None}, "read-for-another-purpose"),
        ({"client": "another"}, "read-by-another-client"),
        ({"client": None}, "read-by-another-client"),
        ({"agreement_sha256": "00" * 32}, "read-under-another-agreement"),
        ({"agreement_sha256": None}, "read-under-another-agreement"),
        ({"grant": None}, "read-outside-grant"),
    ],
    ids=repr,
)
def test_a_read_beyond_what_was_agreed_is_named(members, rule):
    log = given()
    log.read(**members)

    assert judge(log) == [("3", rule)]


def test_a_read_in_no_grants_stream_is_named():
    log = given()
    log.read(stream=VAULT_STREAM, grant="g")

    assert judge(log) == [("1", "read-outside-grant")]


def test_after_narrowing_the_old_terms_permit_nothing():
    log = given()
    narrowed = sha256_hex(NARROWED)
    log.add("consent.changed", agreement_sha256=narrowed, client=None)
    log.read()
    log.read(agreement_sha256=narrowed)
    log.read(agreement_sha256=narrowed, collections=("profile",))

    assert judge(log) == [("4", "read-under-another-agreement"), ("6", "read-outside-collections")]


def test_consents_of_two_grants_do_not_cover_each_other():
    log = given()
    log.add("consent.withdrawn")
    other = "g." + "9" * 32
    members = {"client": "c", "grant": "other", "agreement_sha256": sha256_hex(TERMS)}
    log.add("consent.given", stream=other, **members)
    log.read(stream=other, **members)
    log.read()

    assert judge(log) == [("4", "read-after-end")]


def test_consent_under_terms_that_are_not_in_the_bundle_cannot_be_judged():
    log = MemoryLog(agreements=[])
    log.add("consent.given")
    log.read()

    assert judge(log) == [("2", "agreement-missing")]


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"attributes": "contact.email", "purpose": PURPOSE, "expires_at": None},
        {"attributes": [], "purpose": "", "expires_at": None},
        {"attributes": [], "purpose": PURPOSE, "expires_at": "soon"},
    ],
    ids=repr,
)
def test_terms_that_lack_what_counts_are_refused(document):
    with pytest.raises(MalformedError):
        Terms.from_document(document, "terms")
