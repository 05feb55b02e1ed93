"""What is owed after an end, as an auditor sees it: no name, and nobody can dismiss it (CM-7)."""

from __future__ import annotations

import pytest

from consent import obligations
from tests.support.auditing import engaged


@pytest.fixture
def access(world):
    return engaged(world).access


@pytest.fixture
def withdrawn(world, aysel, shop):
    aysel.save("contact", email="canary@example.com")
    connected = world.connect(aysel, shop, shop.publish(required=["contact.email"]))
    connected.withdraw()
    return connected


def ask(world, access, query=""):
    headers = {"Authorization": f"Bearer {access}"}
    return world.http.get(f"/v1/audit/obligations?{query}", headers=headers)


def kinds(world, access, query=""):
    return sorted(each["kind"] for each in ask(world, access, query).json()["obligations"])


@pytest.mark.usefixtures("withdrawn")
def test_what_is_overdue_is_seen_as_it_falls_due(world, access, clock):
    assert (kinds(world, access), kinds(world, access, "state=due")) == ([], ["delete", "stop"])

    clock.move(days=4)
    assert (kinds(world, access), kinds(world, access, "state=due")) == (["stop"], ["delete"])

    # That it was told to everybody does not take it away.
    clock.move(days=25)
    world.services.uow.write(
        lambda session: obligations.announce_overdue(session, now=world.services.clock.now())
    )
    assert kinds(world, access) == ["stop"]
    assert {each["state"] for each in ask(world, access).json()["obligations"]} == {"overdue"}


def test_what_is_owed_names_nobody_and_holds_no_value(world, access, withdrawn):
    content = ask(world, access, "state=due").text

    assert str(withdrawn.organisation.id) in content
    for secret in ("canary", withdrawn.person.login, str(withdrawn.person.vault_id)):
        assert secret not in content


@pytest.mark.usefixtures("withdrawn")
def test_what_is_owed_comes_in_pages(world, access):
    first = ask(world, access, "state=due&limit=1").json()
    second = ask(world, access, f"state=due&limit=1&after={first['after']}").json()

    found = [each["id"] for page in (first, second) for each in page["obligations"]]
    assert len(set(found)) == 2
    assert second["after"] is None


@pytest.mark.parametrize("query", ["state=none", "limit=0", "limit=501", "after=x"])
def test_a_question_that_cannot_be_read_is_refused(world, access, query):
    answer = ask(world, access, query)

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == f"/{query.partition('=')[0]}"


@pytest.mark.usefixtures("withdrawn")
@pytest.mark.parametrize("access", ["", "pds_ad.x"])
def test_without_an_auditors_access_there_is_no_answer(world, access):
    assert ask(world, access).status_code == 401
