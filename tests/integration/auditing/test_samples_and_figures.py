"""Random samples that anybody draws again, and figures (AUD-15)."""

from __future__ import annotations

import csv
import hashlib
import io

import pytest

from consent.auditing import samples, tallies
from consent.auditing.engagements import scope_of
from consent.auditing.models import Engagement
from pds.ids import random_uuid
from tests.support.auditing import engaged


@pytest.fixture
def whole(world):
    return engaged(world)


def draw(auditor, **body):
    answer = auditor.post("samples", body)
    assert answer.status_code == 201, answer.text
    return answer.json()


def test_a_sample_is_drawn_again_with_its_seed(whole):
    everything = whole.get("events", limit=500, channel="page").json()["events"]
    found = draw(whole, size=3, channel="page")

    def rank(place):
        return hashlib.sha256(bytes.fromhex(found["seed"]) + place.to_bytes(8, "big")).digest()

    again = sorted((each["index"] for each in everything), key=rank)[:3]
    assert [each["index"] for each in found["items"]] == again
    assert (found["population"], found["filter"]) == (len(everything), {"channel": "page"})
    assert draw(whole, size=3, channel="page")["seed"] != found["seed"]


def test_events_of_a_sample_are_passed_or_failed_with_notes(whole):
    sample = draw(whole, size=2, event="data.read")
    path = f"samples/{sample['id']}"

    whole.post(f"{path}/1", {"mark": "pass"})
    found = whole.post(f"{path}/2", {"mark": "fail", "note": "=cmd|' /c calc'"}).json()

    table = list(csv.reader(io.StringIO(whole.get(path, format="csv").text, newline="")))
    assert (found["passed"], found["failed"]) == (1, 1)
    assert table[1] == ["seed", sample["seed"]]
    assert table[-1][-2:] == ["fail", "'=cmd|' /c calc'"]


def test_a_mark_that_cannot_be_and_an_empty_draw_are_refused(whole):
    sample = draw(whole, size=1)
    path = f"samples/{sample['id']}"

    refused = [
        whole.post(f"{path}/1", {"mark": "fail"}),
        whole.post(f"{path}/1", {"mark": "odd"}),
        whole.post(f"{path}/1", {"mark": "pass", "note": "x" * (samples.NOTE_MOST + 1)}),
        whole.post("samples", {"size": 0}),
        whole.post("samples", {"size": 1, "event": "consent.expired"}),
        whole.post("samples", {"size": "x"}),
    ]

    assert {each.status_code for each in refused} == {422}
    assert whole.post(f"{path}/2", {"mark": "pass"}).status_code == 404


def test_samples_of_other_engagements_are_not_there(story, world, whole):
    sample = draw(whole, size=1)
    other = engaged(world, story.bank)

    assert other.get(f"samples/{sample['id']}").status_code == 404
    assert other.post(f"samples/{sample['id']}/1", {"mark": "pass"}).status_code == 404
    assert other.get("samples").json()["samples"] == []
    clients = {each["event"]["organisation"] for each in draw(other, size=50)["items"]}
    assert clients == {str(story.bank.id)}
    assert whole.get(f"samples/{random_uuid()}").status_code == 404


def test_figures_count_by_organisation_and_day_within_the_engagement(story, world):
    services, now = world.services, story.clock.instant
    for auditor, expected in (
        (engaged(world), {story.shop.id: 2, story.bank.id: 1}),
        (engaged(world, story.bank, days_before=300), {story.bank.id: 1}),
    ):
        with services.uow.read() as session:
            engagement = session.get(Engagement, auditor.engagement_id)
            scope = scope_of(engagement, root=services.keys.pseudonym)
            reads = tallies.over_time(session, scope, "data.read", now=now)
            overdue = tallies.overdue(session, scope, now=now)
        assert {each: reads.total(each) for each in reads.counts} == expected
        assert {span for each in reads.counts.values() for span in each} <= set(reads.spans)
        assert (reads.most, overdue) == (max(expected.values()), {})
