"""Rows of a vault against what its log tells (LOG-25, P-32): every difference by its name."""

from __future__ import annotations

import pytest

from consent.formats.leaf import PublicPart
from consent.formats.report import Findings
from consent.formats.vault_rows import OpenedEvent, Row, VersionRow, compare_rows

STREAM = "v." + "1" * 32
GRANT = "g." + "2" * 32
OLD, NEW, PAST = "a" * 64, "b" * 64, "c" * 64


def event(seq, name, private, stream=STREAM):
    return OpenedEvent(PublicPart(name, "2026-03-01T12:00:00Z", stream, seq), private)


WRITTEN = [
    event(1, "vault.created", None),
    event(2, "record.written", {"records": [["edited", 1, OLD], ["single", 1, OLD]]}),
    event(3, "records.imported", {"records": [["edited", 2, NEW, PAST], ["gone", 1, OLD]]}),
    event(4, "record.deleted", {"records": [["gone", 2, NEW, PAST]], "deleted": ["gone"]}),
    event(5, "record.deleted", {"records": [["single", 2, NEW, PAST]]}),
]


def row(record, collection, version, box, *, deleted=False, opens=True):
    return Row(record, collection, version, deleted, box, opens)


EDITED = row("edited", "contact", 2, NEW)
GONE = row("gone", "contact", 2, NEW, deleted=True)
SINGLE = row("single", "profile", 2, NEW)


HISTORY = [VersionRow(name, 1, PAST) for name in ("edited", "gone", "single")]


def compare(*rows, events=WRITTEN, history=HISTORY, elsewhere=(), is_newest=True):
    findings = Findings()
    compare_rows(
        events,
        rows,
        history,
        findings,
        elsewhere=elsewhere,
        is_newest=is_newest,
        progress=lambda _done: None,
    )
    return findings


def test_rows_that_are_as_they_were_written_last_are_right():
    assert compare(EDITED, GONE, SINGLE).failures == []


@pytest.mark.parametrize(
    ("rows", "record", "rule"),
    [
        ([row("edited", "contact", 1, OLD), GONE, SINGLE], "edited", "row-rolled-back"),
        ([GONE, SINGLE], "edited", "row-removed"),
        ([EDITED, SINGLE], "gone", "row-removed"),
        ([row("edited", "contact", 2, NEW, deleted=True), GONE, SINGLE], "edited", "row-removed"),
        ([EDITED, row("gone", "contact", 1, OLD), SINGLE], "gone", "row-put-back"),
        ([EDITED, row("gone", "contact", 2, NEW), SINGLE], "gone", "row-put-back"),
        ([EDITED, GONE, row("single", "profile", 1, OLD)], "single", "row-put-back"),
        ([row("edited", "contact", 2, OLD), GONE, SINGLE], "edited", "row-changed"),
        (
            [row("edited", "health", 2, NEW, opens=False), GONE, SINGLE],
            "edited",
            "row-changed",
        ),
        ([row("edited", "contact", 3, OLD), GONE, SINGLE], "edited", "row-unlogged"),
        ([EDITED, GONE, SINGLE, row("more", "contact", 1, OLD)], "more", "row-unlogged"),
    ],
)
def test_each_difference_has_its_name(rows, record, rule):
    (failure,) = compare(*rows).failures

    assert (failure.where, failure.rule) == (f"record {record}", rule)


def test_evidence_from_an_earlier_day_knows_nothing_of_later_rows():
    """But what it knows of is held against it: a row that is older was rolled back."""
    later = row("edited", "contact", 3, OLD)

    found = compare(later, GONE, SINGLE, is_newest=False)

    assert found.failures == []
    assert [notice.rule for notice in found.notices] == ["row-later"]


def test_a_write_that_is_not_opened_is_named():
    """Else whoever drops a private part could roll back what it wrote."""
    events = [*WRITTEN[:2], event(3, "records.imported", None)]

    found = compare(row("edited", "contact", 1, OLD), events=events, history=[])

    assert found.failures[0].rule == "write-unopened"
    assert found.failures[0].where == f"{STREAM}/3 records.imported"


def test_entries_from_before_boxes_were_logged_tell_versions_alone():
    events = [event(1, "record.written", {"records": [["edited", 2]]})]

    history = [VersionRow("edited", 1, OLD)]
    assert compare(EDITED, events=events, history=history).failures == []
    found = compare(EDITED, events=events, history=[])
    assert [each.rule for each in found.failures] == ["version-removed"]
    found = compare(row("edited", "contact", 1, OLD), events=events, history=history)
    assert [each.rule for each in found.failures] == ["row-rolled-back"]


@pytest.mark.parametrize(
    ("history", "version", "rule"),
    [
        ([VersionRow("edited", 1, OLD), *HISTORY[1:]], 1, "version-changed"),
        ([VersionRow("edited", 1, PAST, opens=False), *HISTORY[1:]], 1, "version-changed"),
        (HISTORY[1:], 1, "version-removed"),
        ([*HISTORY, VersionRow("edited", 2, PAST)], 2, "version-unlogged"),
        ([*HISTORY, VersionRow("edited", 7, PAST)], 7, "version-unlogged"),
    ],
)
def test_each_difference_of_the_history_has_its_name(history, version, rule):
    """P-32: what was replaced is shown to the owner as their own words, so it is checked, too."""
    (failure,) = compare(EDITED, GONE, SINGLE, history=history).failures

    assert (failure.where, failure.rule) == (f"record edited version {version}", rule)


def test_evidence_from_an_earlier_day_knows_nothing_of_later_history():
    later = row("edited", "contact", 3, OLD)
    history = [*HISTORY, VersionRow("edited", 2, PAST)]

    found = compare(later, GONE, SINGLE, history=history, is_newest=False)

    assert (found.failures, found.notices[0].detail[:1]) == ([], "2")


@pytest.mark.parametrize(
    ("version", "box", "is_newest", "rules"),
    [
        (1, OLD, True, []),
        (2, NEW, True, []),
        (2, OLD, True, ["read-unwritten"]),
        (2, OLD, False, ["read-unwritten"]),
        (3, OLD, True, ["read-unwritten"]),
        (3, OLD, False, []),  # written after this evidence
    ],
)
@pytest.mark.parametrize("name", ["data.read", "vault.app_read"])
def test_a_read_of_what_nobody_wrote_is_named(name, version, box, is_newest, rules):
    """P-32: a row that was rolled back for the time of a read, and put right again."""
    read = event(9, name, {"records": [["edited", version, box]]}, GRANT)

    found = compare(EDITED, GONE, SINGLE, elsewhere=[read], is_newest=is_newest)

    assert [each.rule for each in found.failures] == rules


def test_reads_from_before_versions_were_logged_write_nothing():
    """They name ids alone. As writes they would all be of another form."""
    read = event(6, "vault.app_read", {"app": "a", "records": ["edited", "gone"]})

    assert compare(EDITED, GONE, SINGLE, events=[*WRITTEN, read]).failures == []


@pytest.mark.parametrize("records", ["x", [[]], [["a"]], [["a", 0]], [["a", 1, "z"]], [7]])
def test_a_private_part_of_another_form_is_named(records):
    found = compare(events=[event(1, "record.written", {"records": records})], history=[])

    assert [each.rule for each in found.failures] == ["write-form"]
