"""The operator's commands that end agreements, run as the operator runs them (D15, P-30)."""

from __future__ import annotations

import pytest
from click.testing import CliRunner
from sqlalchemy import select

from api.cli import main
from consent.models import Agreement, Event
from pds.settings import SETTINGS_FILE
from tests.support.worlds import TickingClock, world_on


@pytest.fixture
def world(sqlite_store):
    folder = sqlite_store.settings.instance
    (folder / SETTINGS_FILE).write_text("[server]\ninsecure_loopback = true\n", "utf-8")
    with world_on(sqlite_store, clock=TickingClock()) as world:
        yield world


@pytest.fixture
def connected(world):
    shop = world.organisation("Khazar Market")
    return world.connect(world.person(), shop, shop.publish(required=["contact.email"]))


@pytest.fixture
def run(world):
    """Run a command of `pds` on the world's instance."""

    def call(*words, **options):
        arguments = [*words[:2], "--instance", str(world.store.settings.instance)]
        return CliRunner().invoke(main, [*arguments, *map(str, words[2:])], **options)

    return call


def read(world, column):
    with world.services.uow.read() as session:
        return list(session.scalars(select(column)))


def deployment_events(world):
    return [name for name in read(world, Event.name) if name.startswith("organisation.")]


def test_suspending_says_how_many_agreements_end_and_asks(world, connected, run):
    asked = run("organisation", "suspend", connected.organisation.id, input="n\n")

    assert asked.exit_code == 1
    assert "Khazar Market: agreements that end, for good: 1." in asked.output
    assert read(world, Agreement.state) == ["active"]
    assert connected.get("/v1/records").status_code == 200


def test_suspending_ends_what_there_is_and_reinstating_revives_none(world, connected, run):
    """CM-10."""
    done = run("organisation", "suspend", connected.organisation.id, "--yes")
    again = run("organisation", "suspend", connected.organisation.id, input="y\n")
    back = run("organisation", "reinstate", connected.organisation.id)

    assert [done.exit_code, again.exit_code, back.exit_code] == [0, 0, 0]
    assert "Ending agreements" in done.output
    assert read(world, Agreement.state) == ["terminated"]
    assert connected.get("/v1/records").json()["type"].endswith("/consent-terminated")
    assert deployment_events(world) == ["organisation.suspended", "organisation.reinstated"]


def test_a_removed_organisation_is_not_reinstated(world, connected, run):
    assert run("organisation", "remove", connected.organisation.id, "--yes").exit_code == 0

    back = run("organisation", "reinstate", connected.organisation.id)

    assert back.exit_code == 2
    assert "stays removed" in back.output
    assert deployment_events(world) == ["organisation.removed"]


def test_an_agreement_is_declared_void_after_asking(world, connected, run):
    """VOC-20."""
    words = ("agreement", "invalidate", connected.agreement_id, "--reason", "court-order")
    assert run(*words, input="n\n").exit_code == 1
    assert read(world, Agreement.state) == ["active"]

    done = run(*words, "--yes")

    assert (done.exit_code, done.output) == (0, "The agreement is now: invalidated.\n")
    assert read(world, Agreement.ended_by) == ["authority"]


def test_reasons_and_actors_are_from_the_list(connected, run):
    words = ("agreement", "invalidate", connected.agreement_id, "--yes")

    assert run(*words, "--reason", "no longer wanted").exit_code == 2
    assert run(*words, "--reason", "deception", "--by", "organisation").exit_code == 2
    assert run(*words).exit_code == 2


def test_what_is_not_there_is_said_in_one_line(run):
    absent = "00000000-0000-4000-8000-000000000000"

    for words in (
        ("organisation", "suspend", absent, "--yes"),
        ("organisation", "reinstate", absent),
        ("agreement", "invalidate", absent, "--reason", "deception", "--yes"),
    ):
        done = run(*words)
        assert (done.exit_code, done.output) == (
            2,
            "pds: there is no such thing in this instance\n",
        )


def test_freezing_ends_nothing_and_thawing_takes_new_keys(world, connected, run, tmp_path):
    """P-30: what the operator does when an organisation's keys were stolen."""
    shop = connected.organisation
    asked = run("organisation", "freeze", shop.id, input="n\n")
    assert "agreements that rest until each person confirms again: 1." in asked.output
    assert connected.get("/v1/records").status_code == 200

    done = run("organisation", "freeze", shop.id, "--reason", "precaution", "--yes")

    assert (done.exit_code, done.output.startswith("Frozen")) == (0, True)
    assert connected.get("/v1/records").status_code == 403
    assert "frozen" in run("organisation", "list", "--json").output
    assert run("organisation", "freeze", shop.id, "--yes").output.startswith(
        "It was frozen already"
    )
    refused = run("organisation", "thaw", shop.id, "--yes")
    assert "has no new key" in refused.output
    assert refused.exit_code != 0

    made = run("organisation", "rotate-key", shop.client.client_id, "--new-key", tmp_path / "k")
    assert made.exit_code == 0, made.output
    kept = run("organisation", "thaw", shop.id, input="n\n")
    assert kept.exit_code == 1
    assert run("organisation", "thaw", shop.id, "--yes").output.rstrip().endswith("agreement.")
    assert run("organisation", "thaw", shop.id, "--yes").output.endswith("It is not frozen.\n")
    assert read(world, Agreement.state) == ["active"]
    assert connected.get("/v1/records").status_code == 403
    assert deployment_events(world)[-3:] == [
        "organisation.frozen",
        "organisation.keys_rotated",
        "organisation.thawed",
    ]
