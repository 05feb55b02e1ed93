"""What was permitted then: for the person, for the auditor (LEAD-13, AUD-5)."""

from __future__ import annotations

import pytest

from consent import past
from pds.clock import rfc3339
from tests.support.auditing import engaged

EMAIL = "contact.email"


@pytest.fixture
def access(world):
    return engaged(world).access


@pytest.fixture
def course(world, clock):
    """Give Aysel's agreement and the instants of its life, an hour apart."""
    aysel, shop = world.person(), world.organisation()
    connected = world.connect(aysel, shop, shop.publish(required=[EMAIL]))
    pauses, vault = world.services.pauses, aysel.visitor.vault
    instants = {"given": clock.instant}
    for name, step in (
        ("paused", lambda: pauses.pause(vault, connected.agreement_id)),
        ("resumed", lambda: pauses.resume(vault, connected.agreement_id)),
        ("withdrawn", connected.withdraw),
    ):
        clock.move(hours=1)
        step()
        instants[name] = clock.instant
    return connected, instants


def ask(world, access, query):
    return world.http.get(f"/v1/audit/state?{query}", headers={"Authorization": f"Bearer {access}"})


REASONS = [
    ("given", None),
    ("paused", "consent-paused"),
    ("resumed", None),
    ("withdrawn", "consent-withdrawn"),
]


@pytest.mark.parametrize(("when", "reason"), REASONS, ids=[each for each, _ in REASONS])
def test_a_person_learns_what_stood_at_an_instant(world, course, when, reason):
    connected, instants = course
    vault = connected.person.visitor.vault

    with world.services.uow.read() as session:
        (found,) = past.of_vault(session, vault.bucket, vault.id, at=instants[when])

    assert found.agreement_id == connected.agreement_id
    assert found.permission.reason == reason
    assert found.permission.document["attributes"] == [EMAIL]


def test_before_an_agreement_there_is_none(world, course):
    connected, instants = course
    vault = connected.person.visitor.vault
    before = instants["given"].replace(year=2025)

    with world.services.uow.read() as session:
        assert past.of_vault(session, vault.bucket, vault.id, at=before) == []


def test_an_auditor_learns_it_without_learning_who(world, clock, course, access):
    """AUD-1, AUD-5."""
    connected, instants = course
    clock.move(seconds=2)

    answers = {
        when: ask(world, access, f"at={rfc3339(instant)}").json()
        for when, instant in {**instants, "withdrawn": clock.instant}.items()
    }

    assert {
        when: [(each["permitted"], each["reason"]) for each in answer["agreements"]]
        for when, answer in answers.items()
        if when != "given"
    } == {
        "paused": [(True, None)],  # to the second: it was paused within it
        "resumed": [(False, "consent-paused")],
        "withdrawn": [(False, "consent-withdrawn")],
    }
    (entry,) = answers["withdrawn"]["agreements"]
    assert (entry["purpose"], entry["attributes"]) == (
        connected.template.document["purpose"],
        [EMAIL],
    )
    assert entry["agreement"]["id"] == str(connected.agreement_id)
    assert "subject" not in entry
    assert str(connected.person.vault_id) not in str(answers)


def test_the_auditors_list_has_pages(world, clock, access):
    shop = world.organisation()
    template = shop.publish(required=[EMAIL])
    for login in ("aysel", "leyla", "murad"):
        world.connect(world.person(login), shop, template)
    clock.move(seconds=2)
    seen, query = [], f"at={rfc3339(clock.instant)}&limit=2"
    page = ask(world, access, query).json()
    while True:
        seen += [each["agreement"]["id"] for each in page["agreements"]]
        if page["after"] is None:
            break
        page = ask(world, access, f"{query}&after={page['after']}").json()

    assert len(seen) == len(set(seen)) == 3


@pytest.mark.parametrize(
    "query",
    [
        "",
        "at=yesterday",
        "at=2026-03-01",
        "at=2026-03-01T12:00:00Z&limit=0",
        "at=2026-03-01T12:00:00Z&after=me",
    ],
)
def test_what_is_no_question_is_refused_with_a_pointer(world, access, query):
    answer = ask(world, access, query)

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] in {"/at", "/limit", "/after"}


def test_nobody_else_asks(world, course):
    connected, _ = course
    query = "at=2026-03-01T12:00:00Z"

    assert ask(world, "pds_ad.nothing", query).status_code == 401
    assert ask(world, connected.access_token, query).status_code == 401
    assert world.http.get(f"/v1/audit/state?{query}").status_code == 401
