"""Records become contacts, and stay in step (CON-31 to CON-37)."""

from __future__ import annotations

import pytest

from connector.crm.memory import MemoryCrm
from connector.mapping.rules import Conflict
from tests.integration.connector.conftest import AYSEL, MEMORY_RULES, Rig
from tests.integration.connector.identity import rules_of


def test_a_consented_person_becomes_one_contact(rig_on):
    rig_on.person()

    report = rig_on.run_well()

    assert rig_on.contact().fields == {
        "name": "Aysel Məmmədova",
        "email": "aysel@mail.example",
        "phone": "+994501234567",
        "addresses[home]": {"street": "Nizami 10", "postal_code": "AZ1000", "city": "Bakı"},
    }
    assert report.counts["created"] == 1
    assert rig_on.lengths() == (0, 0)


def test_five_replays_give_one_contact_and_write_nothing_more_con_g2(rig_on):
    connection = rig_on.person()
    rig_on.run_well()
    version = rig_on.contact().version

    for _ in range(5):
        rig_on.peer.touch(connection)
        rig_on.restart()
        rig_on.run_well()

    assert rig_on.contact().version == version
    assert connection.reads >= 6


def test_a_change_reaches_the_contact_and_nothing_else_is_read(rig):
    changed, still = rig.person(), rig.person()
    rig.run_well()
    reads = still.reads

    rig.peer.change(changed, "contact", email="new@mail.example")
    report = rig.run_well()

    assert {contact.fields["email"] for contact in rig.contacts()} == {
        "new@mail.example",
        "aysel@mail.example",
    }
    assert report.counts["updated"] == 1
    assert still.reads == reads


def test_a_value_that_is_gone_from_the_vault_is_cleared(rig):
    connection = rig.person()
    rig.run_well()

    rig.peer.change(connection, "contact", phone=None)
    rig.run_well()

    assert "phone" not in rig.contact().fields
    assert rig.contact().fields["email"] == "aysel@mail.example"


def test_many_people_over_several_pages_and_batches(rig):
    rig.crm = MemoryCrm(max_batch=4)
    rig.restart()
    for number in range(11):
        rig.person({"profile": {"given_name": f"Person {number}"}})

    rig.run_well()

    assert len(rig.contacts()) == 11
    assert rig.lengths() == (0, 0)


def test_an_expired_cursor_lists_everyone_again_con_32(rig):
    people = [rig.person() for _ in range(5)]
    rig.run_well()
    for connection in people:
        rig.peer.change(connection, "profile", given_name="Renamed")
    rig.peer.forget_feed()

    rig.run_well()

    assert {contact.fields["name"] for contact in rig.contacts()} == {"Renamed Məmmədova"}


def test_an_answer_with_more_than_was_agreed_is_refused_con_33(sqlite_url):
    """LEAD-8: nothing of it is written, and the connection is listed."""
    table = (*MEMORY_RULES, ("health", "note", "diagnosis", ()))
    rig = Rig(sqlite_url, rules=rules_of(table, obj="contact"))
    rig.person()
    rig.peer.extra_collections = {"health": {"diagnosis": "none of your business"}}

    rig.run_well()

    assert rig.contacts() == []
    assert rig.dead()[0].error_class == "answer-rejected"
    rig.peer.extra_collections = {}
    rig.run_well()
    assert "note" not in rig.contact().fields
    rig.close()


@pytest.mark.parametrize(
    "changes",
    [
        {"agreed": ["contact.email"]},
        {"delivered": []},
        {"withheld": [{"attribute": "contact.email", "reason": "not_agreed"}]},
        {"withheld": "nothing"},
    ],
    ids=["agreed", "delivered", "withheld", "form"],
)
def test_a_manifest_that_does_not_match_the_agreement_is_refused(rig, changes):
    """LEAD-8, P-25."""
    rig.person()
    rig.peer.manifest_changes = changes

    rig.run_well()

    assert rig.contacts() == []
    assert rig.dead()[0].error_class == "answer-rejected"


def test_a_crm_that_reformats_values_is_not_written_to_again_con_40(rig):
    rig.crm._reformat = lambda field, value: (
        value.replace("+994", "00994 ") if field == "phone" else value
    )
    connection = rig.person()
    rig.run_well()
    version = rig.contact().version

    rig.peer.touch(connection)
    rig.run_well()

    assert rig.contact().version == version
    assert rig.contact().fields["phone"] == "00994 501234567"


def test_the_vault_wins_over_an_edit_in_the_crm_and_the_trail_says_so_con_37(rig):
    connection = rig.person()
    rig.run_well()
    rig.contact().fields["email"] = "edited@crm.example"

    rig.peer.touch(connection)
    rig.run_well()

    assert rig.contact().fields["email"] == "aysel@mail.example"
    assert [line["detail"].get("overwritten") for line in audit(rig)][-1] == ["email"]


def test_the_crm_wins_where_the_mapping_says_so_con_37(sqlite_url):
    rig = Rig(sqlite_url, rules=rules_of(MEMORY_RULES, obj="contact", conflict=Conflict.CRM_WINS))
    connection = rig.person()
    rig.run_well()
    rig.contact().fields["email"] = "edited@crm.example"

    rig.peer.change(connection, "contact", email="new@mail.example", phone="050 765 43 21")
    rig.run_well()

    assert rig.contact().fields["email"] == "edited@crm.example"
    assert rig.contact().fields["phone"] == "+994507654321"
    rig.close()


def test_an_empty_field_is_filled_and_a_filled_one_is_left_con_37(sqlite_url):
    rig = Rig(sqlite_url, rules=rules_of(MEMORY_RULES, obj="contact", conflict=Conflict.FILL_EMPTY))
    connection = rig.person(
        {"profile": {"given_name": "Aysel"}, "contact": {"email": "a@x.example"}},
        attributes={"profile.given_name", "contact.email", "contact.phone"},
    )
    rig.run_well()

    rig.peer.change(connection, "contact", email="new@mail.example", phone="050 765 43 21")
    rig.run_well()

    assert rig.contact().fields["email"] == "a@x.example"
    assert rig.contact().fields["phone"] == "+994507654321"
    rig.close()


def test_one_bad_value_stops_neither_the_other_fields_nor_the_other_people_con_19(rig):
    bad = rig.person({**AYSEL, "contact": {"email": "nope", "phone": "050 123 45 67"}})
    rig.person()

    report = rig.run_well()

    assert len(rig.contacts()) == 2
    (entry,) = rig.dead()
    assert (entry.connection, entry.field, entry.error_class) == (bad.id, "email", "invalid-value")
    assert entry.message == "not an e-mail address"
    assert report.counts["rejected"] == 1


def test_a_rejected_row_is_retried_until_it_succeeds_con_20(rig):
    bad = rig.person({**AYSEL, "contact": {"email": "nope"}})
    rig.run_well()
    rig.run_well()
    assert rig.dead()[0].attempts == 2

    rig.peer.change(bad, "contact", email="right@mail.example")
    rig.run_well()

    assert rig.dead() == []
    assert rig.contact().fields["email"] == "right@mail.example"


def test_a_run_that_repeats_itself_waits_longer_with_each_reject(rig):
    bad = rig.person({**AYSEL, "contact": {"email": "nope"}})
    rig.run_well(retry="due")
    reads = bad.reads

    rig.run_well(retry="due")
    assert bad.reads == reads

    rig.clock.forward(seconds=31)
    rig.run_well(retry="due")
    assert bad.reads == reads + 1


def test_a_batch_refused_whole_is_halved_until_the_row_at_fault_stands_alone_con_35(rig):
    people = [rig.person() for _ in range(8)]
    poisoned = rig.keys.contact_key(people[5].id, life=1)
    rig.crm.poison.add(poisoned)

    rig.run_well()

    assert len(rig.contacts()) == 7
    (entry,) = rig.dead()
    assert (entry.connection, entry.error_class) == (people[5].id, "crm-rejected")


def test_too_many_rejects_stop_the_run_con_35(rig):
    for _ in range(12):
        rig.person({**AYSEL, "contact": {"email": "nope"}})

    report = rig.run()

    assert report.problem.code == "too-many-rejects"


def test_an_archived_contact_is_found_and_not_created_twice_con_9(rig):
    connection = rig.person()
    rig.run_well()
    rig.contact().is_archived = True

    rig.peer.change(connection, "profile", given_name="Renamed")
    rig.run_well()

    assert len(rig.contacts()) == 1
    assert rig.dead()[0].message == "archived in the CRM"


def test_a_dry_run_plans_and_writes_nothing_con_33(rig):
    rig.person()

    report = rig.run_well(mode="dry")

    assert rig.contacts() == []
    (plan,) = report.plans
    assert plan.action == "create"
    assert {change.field for change in plan.changes} == {
        "name",
        "email",
        "phone",
        "addresses[home]",
    }
    assert "aysel" not in repr(plan).casefold()  # ascii
    rig.run_well()
    assert len(rig.contacts()) == 1


def test_a_field_unknown_to_the_crm_is_found_before_any_write_con_10(sqlite_url):
    table = (*MEMORY_RULES, ("profile", "nickname", "given_name", ()))
    rig = Rig(sqlite_url, rules=rules_of(table, obj="contact"))
    rig.person()

    report = rig.run()

    assert report.problem.code == "mapping"
    assert "nickname" in str(report.problem)
    assert rig.contacts() == []
    rig.close()


def test_two_people_who_claim_one_address_are_two_contacts_con_27(rig):
    rig.person()
    rig.person()

    rig.run_well()

    assert len(rig.contacts()) == 2


def test_only_one_connection_is_applied_when_asked(rig):
    rig.person()
    wanted = rig.person({"profile": {"given_name": "Elvin"}})

    rig.run_well(only=wanted.id)

    assert rig.contact().fields["name"] == "Elvin"


def audit(rig):
    from connector.state.schema import audit as table  # noqa: PLC0415 - the name is the fixture's, too

    with rig.store.read() as state:
        assert state.audit.broken_at() is None
        return [dict(row._mapping) for row in state.sql.execute(table.select().order_by("seq"))]
