"""Organisations and an auditor who pool all that they received link no connections (P-2, LOG-7).

Real people over the real interfaces: each connects with two organisations, with equal records. What
an organisation received of one of them is every word of its answers and receipts, what the auditor
did every word of the evidence. No word of a person is shared by both and by nobody else: what they
have in common, all people have in common, so a match by equal values is as good as chance. Data
that both were given, such as an e-mail address, would link, and is left out: it is the same here
for everyone. So is the instant, since everyone decides within the same second.

`PDS_PEOPLE` sets how many people there are; `make drill-unlinkable` takes 500.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter

import pytest

from api.worker import Worker
from consent.log import evidence
from tests.support.world import World
from tests.support.worlds import TickingClock, world_on

PEOPLE = int(os.environ.get("PDS_PEOPLE", "6"))
WORDS = re.compile(r"[0-9A-Za-z_-]{6,}")


def received(world: World, connected):
    """Return every word of an organisation's answers, and of the evidence about its grant."""
    grant = connected.get("/v1/grant")
    records = connected.get("/v1/records")
    answers = [grant, records, connected.get("/v1/receipt")]
    assert {each.status_code for each in answers} == {200}
    texts = [json.dumps(connected.body), *(each.text for each in answers)]
    texts += [each.headers.get("PDS-Log-Entry", "") for each in answers]
    stream = records.headers["PDS-Log-Entry"].partition("/")[0]
    with world.services.uow.read() as session:
        (mine,) = [
            each
            for each in evidence.streams_of_vault(
                session,
                connected.person.visitor.vault.bucket,
                connected.person.vault_id,
            )
            if each.name == stream
        ]
        bundle = json.loads(evidence.build_bundle(session, [mine]).to_bytes())
    texts.append(json.dumps([bundle["entries"], bundle["receipts"], bundle["agreements"]]))
    return {word for text in texts for word in WORDS.findall(text)}


@pytest.fixture(scope="module")
def pooled(stores):
    """Give what two organisations and an auditor have of each person, in the same order."""
    clock = TickingClock()
    with stores.migrated("sqlite") as store, world_on(store, clock=clock) as world:
        people = [world.person(f"person{number}") for number in range(PEOPLE)]
        for person in people:
            person.save("contact", email="the.same@poct.example")
        connections = []
        for name in ("Xəzər Market", "Bank"):
            clock.move(minutes=1)
            organisation = world.organisation(name)
            template = organisation.publish(required=["contact.email"])
            connections.append([world.connect(each, organisation, template) for each in people])
        for each in (one for of_one in connections for one in of_one):
            assert each.get("/v1/records").status_code == 200
        worker = Worker(world.services)
        worker.turn()
        worker.stop()
        yield [[received(world, each) for each in of_one] for of_one in connections]


def own(of_people):
    """Return, for each person, the words that nobody else has."""
    having = Counter(word for words in of_people for word in words)
    return [{word for word in words if having[word] == 1} for words in of_people]


def links(one, other):
    """Return, for each person, the words that both have of them and of nobody else."""
    return [mine & theirs for mine, theirs in zip(one, own(other), strict=True)]


def test_two_organisations_share_no_word_that_only_one_person_has(pooled):
    market, bank = pooled

    assert links(market, bank) == [set()] * PEOPLE
    assert links(bank, market) == [set()] * PEOPLE


def test_a_word_that_both_had_would_be_found(pooled):
    """Else the test above would show nothing: each has words of its own for each person."""
    market, bank = pooled
    assert min(len(words) for words in own(market)) > 5
    planted = [words | {f"customer-{number}"} for number, words in enumerate(market)]
    leaked = [words | {f"customer-{number}"} for number, words in enumerate(bank)]
    assert links(planted, leaked) == [{f"customer-{number}"} for number in range(PEOPLE)]
