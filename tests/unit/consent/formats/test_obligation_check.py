"""What organisations owe is answered, or shown as overdue (CM-7, LOG-26)."""

from __future__ import annotations

import pytest

from consent.formats.receipt_facts import Obligation, ReceiptKind
from consent.formats.report import Verdict
from consent.formats.verify import verify_bundle
from tests.support.evidence import GRANT_STREAM, MemoryLog

DUE = "2026-03-11T12:00:00Z"
BEFORE, AFTER = "2026-03-10T00:00:00Z", "2026-03-12T00:00:00Z"
OWED = [Obligation(kind=kind, due_at=DUE, state="due") for kind in ("stop", "delete", "notify")]
ANSWERS = ("obligation.stop_answered", "erasure.confirmed", "obligation.notify_answered")


@pytest.fixture
def ended():
    """A consent that was given and withdrawn, with three obligations."""
    log = MemoryLog()
    log.add("consent.given")
    log.add("consent.withdrawn", time="2026-03-04T12:00:00Z")
    log.issue(ReceiptKind.GIVEN, seq=1, number=1)
    log.issue(ReceiptKind.WITHDRAWN, seq=2, number=2, obligations=OWED)
    return log


def notices(log, now):
    report = verify_bundle(log.bundle().to_bytes(), log.trust(), now=now)
    assert report.verdict is Verdict.VERIFIED  # it fails nothing
    return [(each.rule, each.detail.split()[1]) for each in report.notices]


def test_what_is_not_due_yet_is_not_overdue(ended):
    assert notices(ended, BEFORE) == []


def test_what_was_due_and_has_no_answer_is_overdue(ended):
    kinds = ("stop", "delete", "notify")

    assert notices(ended, AFTER) == [("obligation-overdue", kind) for kind in kinds]


def test_the_notice_names_the_end_and_the_day(ended):
    report = verify_bundle(ended.bundle().to_bytes(), ended.trust(), now=AFTER)

    assert f"{GRANT_STREAM}/2 consent.withdrawn" in report.notices[0].where
    assert report.notices[0].detail == f"to stop was due at {DUE}, and has no answer"
    assert report.to_dict()["notices"][0]["rule"] == "obligation-overdue"


def test_each_answer_settles_its_own_kind(ended):
    for name in ANSWERS:
        ended.add(name, time="2026-03-05T12:00:00Z")

    assert notices(ended, AFTER) == []


def test_a_confirmed_deletion_settles_the_stop_but_one_that_was_declined_does_not(ended):
    ended.add("erasure.confirmed", time="2026-03-05T12:00:00Z", outcome="legal_hold")
    assert ("obligation-overdue", "stop") in notices(ended, AFTER)

    ended.add("erasure.confirmed", time="2026-03-06T12:00:00Z")
    assert notices(ended, AFTER) == [("obligation-overdue", "notify")]


def test_an_answer_after_the_day_is_late(ended):
    for name in ANSWERS:
        ended.add(name, time="2026-03-11T12:01:00Z")

    assert {rule for rule, _ in notices(ended, AFTER)} == {"obligation-late"}


def test_an_answer_in_the_very_minute_is_in_time(ended):
    for name in ANSWERS:
        ended.add(name, time=DUE)

    assert notices(ended, AFTER) == []


def test_an_answer_before_the_end_settles_nothing():
    log = MemoryLog()
    log.add("consent.given")
    for name in ANSWERS:
        log.add(name)
    log.add("consent.withdrawn", time="2026-03-04T12:00:00Z")
    log.issue(ReceiptKind.WITHDRAWN, seq=5, number=2, obligations=OWED)

    assert len(notices(log, AFTER)) == len(OWED)


def test_an_end_without_its_receipt_is_told(ended):
    del ended.receipts[1]

    assert notices(ended, AFTER) == [("obligation-unknown", "receipt")]
