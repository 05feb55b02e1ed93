"""What was permitted at an instant (LEAD-13, CM-14, CM-15)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from consent.lifecycle import MOVES, Act
from consent.past import Happened, permission_at
from consent.policy import CONSENT_DENIALS
from consent.vocabulary import ConsentStatus, DenialReason

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def text(version=1, *, hours=24):
    return {
        "version": version,
        "starts_at": START.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "expires_at": (START + hours * HOUR).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


def history(*acts):
    """Return events, one an hour from the start on; a pair names another version."""
    found = []
    for hour, each in enumerate(acts):
        act, version = each if isinstance(each, tuple) else (each, 1)
        status = MOVES[act].consent.target
        found.append(Happened(START + hour * HOUR, act, status, version))
    return found


def reason(events, hours, **texts):
    asked = permission_at(events, texts or {1: text()}, at=START + hours * HOUR)
    return asked.reason


@pytest.mark.parametrize(
    ("hours", "expected"),
    [
        (-1, DenialReason.PENDING),
        (0, None),
        (0.99, None),
        (1, DenialReason.PAUSED),
        (1.99, DenialReason.PAUSED),
        (2, None),
        (3, DenialReason.WITHDRAWN),
        (1000, DenialReason.WITHDRAWN),
    ],
)
def test_an_event_counts_from_its_own_instant_on(hours, expected):
    events = history(Act.ALLOW, Act.PAUSE, Act.RESUME, Act.WITHDRAW)

    assert reason(events, hours) is expected


def test_the_agreed_end_holds_before_anybody_wrote_it_down():
    events = history(Act.ALLOW)

    assert reason(events, 23.99) is None
    assert reason(events, 24) is DenialReason.EXPIRED


@pytest.mark.parametrize(
    ("act", "expected"),
    [
        (Act.REPLACE, DenialReason.TERMINATED),
        (Act.TERMINATE, DenialReason.TERMINATED),
        (Act.EXCLUDE, DenialReason.TERMINATED),
        (Act.INVALIDATE, DenialReason.INVALIDATED),
        (Act.EXPIRE, DenialReason.EXPIRED),
        (Act.FULFIL, DenialReason.FULFILLED),
    ],
)
def test_each_end_has_its_own_reason(act, expected):
    assert reason(history(Act.ALLOW, act), 2) is expected


def test_the_version_that_stood_then_is_the_answer():
    events = [
        *history(Act.ALLOW),
        Happened(START + HOUR, Act.ALLOW, ConsentStatus.GIVEN, 2),
    ]
    texts = {1: text(1), 2: text(2, hours=48)}

    before = permission_at(events, texts, at=START)
    after = permission_at(events, texts, at=START + 30 * HOUR)

    assert before.document["version"] == 1
    assert (after.document["version"], after.reason) == (2, None)


def test_of_two_events_at_one_instant_the_later_number_counts():
    """CM-15: finding the latest state is what the numbers are for."""
    events = [
        Happened(START, Act.ALLOW, ConsentStatus.GIVEN, 1),
        Happened(START, Act.WITHDRAW, ConsentStatus.WITHDRAWN, 1),
    ]

    assert reason(events, 0) is DenialReason.WITHDRAWN


def test_every_status_permits_or_has_a_reason():
    """CM-14."""
    permitting = {status for status in ConsentStatus if status.permits}

    assert set(ConsentStatus) - set(CONSENT_DENIALS) == permitting
