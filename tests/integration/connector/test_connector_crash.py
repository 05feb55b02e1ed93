"""A run may die at every numbered point; the next one heals it, on both stores (CON-G1 to G6)."""

from __future__ import annotations

import pytest

from connector.engine.context import Point
from connector.errors import LeaseLostError
from connector.state.erasures import ErasureState
from tests.integration.connector.conftest import Crash
from tests.integration.connector.test_connector_sync import audit


def busy_day(rig):
    """Prepare a run that reaches every point: one of each kind of person."""
    gone, changed, narrowed = rig.person(), rig.person(), rig.person()
    rig.run_well()
    obligation = rig.peer.withdraw(gone)
    rig.peer.change(changed, "contact", email="changed@mail.example")
    rig.peer.narrow(narrowed, "contact.phone")
    new = rig.person({"profile": {"given_name": "Elvin"}})
    return {"gone": gone, "changed": changed, "narrowed": narrowed, "new": new}, obligation


def check_outcome(rig, people, obligation):
    by_key = {contact.key: contact.fields for contact in rig.contacts()}
    assert len(by_key) == len(rig.crm.contacts) == 3, "one contact each, none twice"
    fields = {
        name: by_key.get(rig.keys.contact_key(who.id, life=1)) for name, who in people.items()
    }
    assert fields["gone"] is None
    assert fields["changed"]["email"] == "changed@mail.example"
    assert "phone" not in fields["narrowed"]
    assert fields["narrowed"]["email"] == "aysel@mail.example"
    assert fields["new"] == {"name": "Elvin"}
    assert rig.peer.obligations[obligation]["state"] == "fulfilled"
    assert {job.state for job in rig.jobs()} == {ErasureState.ERASED}
    assert rig.lengths() == (0, 0)
    assert audit(rig)


@pytest.mark.parametrize("occurrence", [1, 2], ids=["first", "second"])
@pytest.mark.parametrize("point", list(Point), ids=lambda point: point.name.lower())
def test_a_death_at_any_point_is_healed_by_the_next_run(rig_on, point, occurrence):
    people, obligation = busy_day(rig_on)
    rig_on.restart(crash_at=(point, occurrence))

    try:
        rig_on.run_well()
    except Crash:
        rig_on.clock.forward(minutes=3)
    rig_on.restart()
    rig_on.run_well()

    check_outcome(rig_on, people, obligation)


def test_the_busy_day_reaches_every_point(rig):
    people, obligation = busy_day(rig)
    rig.restart()

    rig.run_well()

    check_outcome(rig, people, obligation)
    assert set(rig.reached) == set(Point)


def test_who_withdraws_after_a_death_between_create_and_link_is_erased_by_key_con_g4(rig_on):
    connection = rig_on.person()
    rig_on.restart(crash_at=(Point.WRITE_SENT, 1))
    with pytest.raises(Crash):
        rig_on.run()
    assert len(rig_on.contacts()) == 1
    rig_on.peer.withdraw(connection)
    rig_on.clock.forward(minutes=3)
    rig_on.restart()

    rig_on.run_well()

    assert rig_on.contacts() == []


def test_who_narrows_after_a_death_between_create_and_link_keeps_no_residue_con_g6(rig):
    connection = rig.person()
    rig.restart(crash_at=(Point.WRITE_SENT, 1))
    with pytest.raises(Crash):
        rig.run()
    rig.peer.narrow(connection, "contact.phone")
    rig.clock.forward(minutes=3)
    rig.restart()

    rig.run_well()

    assert "phone" not in rig.contact().fields


def test_the_cursor_never_passes_a_change_that_is_not_queued_con_g1(rig_on):
    connections = [rig_on.person() for _ in range(5)]
    rig_on.run_well()
    for connection in connections:
        rig_on.peer.change(connection, "profile", given_name="Renamed")
    for occurrence in (1, 2):
        rig_on.restart(crash_at=(Point.PAGE_READ, occurrence))
        with pytest.raises(Crash):
            rig_on.run()
        rig_on.clock.forward(minutes=3)

    rig_on.restart()
    rig_on.run_well()

    assert {contact.fields["name"] for contact in rig_on.contacts()} == {"Renamed Məmmədova"}


@pytest.mark.parametrize("point", [Point.FENCED, Point.WRITE_SENT], ids=["fenced", "write_sent"])
def test_a_run_that_slept_through_its_lease_stops_where_it_wakes_con_31(rig, point):
    connection = rig.person()
    rig.run_well()
    rig.peer.change(connection, "profile", given_name="Old")

    naps = iter([180])

    def fall_asleep(reached):
        if reached is point and (nap := next(naps, None)):
            rig.clock.sleep(nap)
            rig.peer.change(connection, "profile", given_name="New")
            rig.restart()
            rig.run_well()

    rig.restart(reach=fall_asleep)

    with pytest.raises(LeaseLostError):
        rig.run()

    assert rig.contact().fields["name"] == "New Məmmədova"
