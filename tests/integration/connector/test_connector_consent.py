"""Consent first: withdrawal, expiry, pause, narrowing, and what follows (CON-G3 to CON-G6)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from connector.crm.base import Residue
from connector.engine.context import Point
from connector.errors import LeaseHeldError, LeaseLostError
from connector.state.erasures import ErasureState
from tests.integration.connector.conftest import AYSEL, Rig
from tests.integration.connector.identity import rules_of
from tests.integration.connector.test_connector_sync import audit


def test_a_withdrawn_person_is_erased_and_the_vault_gets_a_signed_receipt_con_g4(rig_on):
    connection = rig_on.person()
    rig_on.run_well()

    obligation = rig_on.peer.withdraw(connection)
    report = rig_on.run_well()

    assert rig_on.contacts() == []
    ((number, receipt),) = rig_on.peer.confirmations
    assert number == obligation
    assert receipt["outcome"] == "erased"
    assert receipt["verified_by_reread"] is True
    assert receipt["items"] == [
        {"collection": "addresses", "attributes": 1},
        {"collection": "contact", "attributes": 2},
        {"collection": "profile", "attributes": 1},
    ]
    assert report.counts["receipts"] == 1
    assert rig_on.jobs()[0].state is ErasureState.ERASED


def test_a_receipt_is_handed_in_once(rig):
    connection = rig.person()
    rig.run_well()
    rig.peer.withdraw(connection)

    for _ in range(3):
        rig.run_well()

    assert len(rig.peer.confirmations) == 1


@pytest.mark.parametrize("state", ["withdrawn", "terminated", "expired"])
def test_every_final_state_erases(rig, state):
    connection = rig.person()
    rig.run_well()

    rig.peer.withdraw(connection, state=state)
    rig.run_well()

    assert rig.contacts() == []


def test_nothing_is_fetched_or_written_after_a_known_withdrawal_con_g3(rig):
    connection = rig.person()
    rig.run_well()
    reads = connection.reads
    rig.peer.change(connection, "profile", given_name="Too late")
    rig.peer.withdraw(connection)

    rig.run_well()

    assert connection.reads == reads
    assert rig.contacts() == []


def test_a_consent_expires_by_its_date_though_the_server_is_down_con_31(rig):
    rig.person(days=1)
    rig.run_well()
    rig.clock.forward(days=1)
    rig.peer.is_down = True

    report = rig.run()

    assert report.problem.code == "server-unavailable"
    assert rig.contacts() == []
    assert rig.jobs()[0].cause == "expired"


def test_the_expiry_instant_itself_is_too_late(rig):
    connection = rig.person(days=1)
    rig.clock.instant = connection.expires_at - timedelta(seconds=1)
    rig.run_well()
    assert len(rig.contacts()) == 1

    rig.clock.instant = connection.expires_at
    rig.run_well()
    assert rig.contacts() == []


def test_nothing_is_written_while_the_server_is_unreachable(rig):
    rig.person()
    rig.peer.is_down = True

    report = rig.run()

    assert report.problem.code == "server-unavailable"
    assert rig.contacts() == []


def test_a_paused_consent_is_neither_written_nor_erased(rig):
    connection = rig.person()
    rig.run_well()
    rig.peer.change(connection, "profile", given_name="Renamed")
    rig.peer.pause(connection)

    rig.run_well()
    assert rig.contact().fields["name"] == "Aysel Məmmədova"

    rig.peer.resume(connection)
    rig.run_well()
    assert rig.contact().fields["name"] == "Renamed Məmmədova"


def test_what_was_fetched_once_is_kept_until_its_agreement_is_fulfilled(rig):
    connection = rig.person(days=2)
    rig.run_well()
    connection.is_fetched = True
    rig.peer.touch(connection)

    rig.run_well()
    assert len(rig.contacts()) == 1

    rig.peer.withdraw(connection, state="fulfilled")
    rig.peer.obligations.clear()  # the state alone must do
    rig.run_well()
    assert rig.contacts() == []


def test_an_excluded_organisation_erases_and_confirms_what_it_owes(rig):
    """CM-7, CM-10: only the scope `obligations` is left to it."""
    rig.person(), rig.person()
    rig.run_well()
    owed = rig.peer.exclude()

    report = rig.run()

    assert report.problem.code == "organisation-excluded"
    assert rig.contacts() == []
    assert [rig.peer.obligations[each]["state"] for each in owed] == ["fulfilled"] * 2


def test_an_excluded_organisation_that_is_reinstated_goes_on(rig):
    rig.person()
    rig.run_well()
    rig.peer.exclude()
    rig.run()
    rig.peer.is_excluded = False

    rig.person()
    rig.run_well()

    assert len(rig.contacts()) == 1


def test_a_withdrawal_between_plan_and_apply_stops_the_write_con_40(rig):
    connection = rig.person()

    # The plan is made; then the check grows older than consent_ttl while the CRM is slow.
    def withdraw_and_wait(point):
        if point is Point.PLANNED and connection.state == "active":
            rig.peer.withdraw(connection)
            rig.clock.forward(seconds=301)

    rig.restart(reach=withdraw_and_wait)
    rig.run_well()

    assert rig.contacts() == []
    assert rig.crm._next_id == 1, "nothing was ever created"


def test_a_check_that_is_old_but_still_right_lets_the_write_pass(rig):
    rig.person()
    slow = iter([Point.PLANNED])

    def wait(point):
        if point is next(slow, None):
            rig.clock.forward(seconds=301)

    rig.restart(reach=lambda point: wait(point) if point is Point.PLANNED else None)
    asked = rig.peer.count("/v1/grant")
    rig.run_well()

    assert len(rig.contacts()) == 1
    assert rig.peer.count("/v1/grant") == asked + 2  # the terms, and once more at the fence


def test_a_narrowing_between_plan_and_apply_voids_the_plan_con_g3(rig):
    connection = rig.person()

    def narrow(point):
        if point is Point.PLANNED and connection.version == 1:
            rig.peer.narrow(connection, "contact.phone")
            rig.clock.forward(seconds=301)

    rig.restart(reach=narrow)
    rig.run_well()
    assert rig.contacts() == []

    rig.run_well()
    assert "phone" not in rig.contact().fields


def test_a_narrowed_consent_erases_just_what_is_no_longer_agreed_con_g6(rig_on):
    connection = rig_on.person()
    rig_on.run_well()

    rig_on.peer.narrow(connection, "contact.phone")
    rig_on.run_well()

    assert set(rig_on.contact().fields) == {"name", "email", "addresses[home]"}
    (job,) = rig_on.jobs()
    assert (job.cause, job.state, job.plan.targets[0].fields) == ("narrowed", "erased", ["phone"])


def test_a_narrowing_that_shares_an_expression_derives_the_field_anew(rig):
    connection = rig.person()
    rig.run_well()

    rig.peer.narrow(connection, "profile.family_name")
    rig.run_well()

    assert rig.contact().fields["name"] == "Aysel"


def test_a_blocked_erasure_is_reported_and_done_when_the_block_is_gone_con_g4(rig):
    connection = rig.person()
    rig.run_well()
    rig.crm.blocked["1"] = "unpaid_invoice"

    rig.peer.withdraw(connection)
    rig.run_well()
    (job,) = rig.jobs()
    assert (job.state, job.reason) == (ErasureState.BLOCKED, "unpaid_invoice")
    assert [receipt["outcome"] for _, receipt in rig.peer.confirmations] == ["blocked"]
    assert len(rig.contacts()) == 1

    del rig.crm.blocked["1"]
    rig.clock.forward(hours=7)
    rig.run_well()
    assert rig.contacts() == []
    assert [receipt["outcome"] for _, receipt in rig.peer.confirmations] == ["blocked", "erased"]


def test_a_crm_that_erases_badly_is_not_believed_con_g4(rig):
    connection = rig.person()
    rig.run_well()
    rig.crm.verify_erased = lambda _ref, _plan: [Residue("email")]

    rig.peer.withdraw(connection)
    rig.run_well()

    (job,) = rig.jobs()
    assert (job.state, job.reason) == (ErasureState.OPEN, "residue")
    assert rig.peer.confirmations == []


def test_the_plan_of_a_job_is_frozen_con_22(rig):
    connection = rig.person()
    rig.run_well()
    rig.crm.blocked["1"] = "unpaid_invoice"
    rig.peer.withdraw(connection)
    rig.run_well()

    rig.policy = type(rig.policy)(on_end="anonymise")
    rig.rules = rules_of((("profile", "name", "given_name", ()),), obj="contact")
    rig.restart()
    del rig.crm.blocked["1"]
    rig.clock.forward(hours=7)
    rig.run_well()

    assert rig.contacts() == [], "erased, as planned, not anonymised"


def test_anonymise_blanks_the_contact_and_keeps_its_shell(rig):
    rig.policy = type(rig.policy)(on_end="anonymise", per_second=1e6, erase_per_second=1e6)
    rig.restart()
    connection = rig.person()
    rig.run_well()

    rig.peer.withdraw(connection)
    rig.run_well()

    assert rig.contact().fields == {}


def test_who_comes_back_gets_a_new_key_and_the_old_one_stays_buried_con_g5(rig):
    connection = rig.person()
    rig.run_well()
    old_key = rig.contact().key
    rig.peer.withdraw(connection)
    rig.run_well()

    rig.peer.renew(connection)
    rig.hand_over_token(connection)
    rig.run_well()

    assert rig.contact().key != old_key
    assert rig.contact().key == rig.keys.contact_key(connection.id, life=2)
    with rig.store.read() as state:
        assert state.links.is_buried(old_key)


def test_a_buried_key_is_never_written_to_con_g5(rig):
    connection = rig.person()
    key = rig.keys.contact_key(connection.id, life=1)
    with rig.store.write() as state:
        from connector.state.schema import tombstone  # noqa: PLC0415 - needed here only

        values = {"connection": connection.id, "life": 1, "job": "x", "erased_at": rig.clock.now()}
        state.sql.execute(tombstone.insert().values(key=key, **values))

    rig.run_well()

    assert rig.contacts() == []


def test_a_withdrawal_that_the_feed_never_told_shows_in_the_obligations(rig):
    connection = rig.person()
    rig.run_well()
    old_key = rig.contact().key
    rig.peer.withdraw(connection, silently=True)
    rig.peer.renew(connection)
    rig.hand_over_token(connection)

    rig.run_well()
    rig.run_well()

    assert rig.contact().key != old_key
    assert [receipt["outcome"] for _, receipt in rig.peer.confirmations] == ["erased"]


def test_an_obligation_for_someone_never_synchronised_is_confirmed_after_looking(rig):
    connection = rig.person()
    rig.peer.withdraw(connection)

    rig.run_well()

    ((_, receipt),) = rig.peer.confirmations
    assert (receipt["outcome"], receipt["items"]) == ("erased", [])


def test_a_connection_that_vanished_from_the_list_is_erased(rig):
    connection = rig.person()
    rig.run_well()
    rig.peer.forget_feed()
    rig.peer.changes.append({"connection": "x", "kind": "data", "state": "active", "feed": 99})
    rig.peer.oldest_feed = 99
    del rig.peer.connections[connection.id]

    rig.run_well()

    assert rig.contacts() == []


def test_a_list_that_is_wrongly_empty_erases_nobody(rig):
    connection = rig.person()
    rig.run_well()
    rig.peer.changes.append({"connection": "x", "kind": "data", "state": "active", "feed": 99})
    rig.peer.oldest_feed = 99
    rig.peer.app.view_functions["/v1/connections"] = lambda: {
        "connections": [],
        "next_cursor": None,
        "has_more": False,
    }

    report = rig.run()

    assert report.problem.code == "answer-rejected"
    assert len(rig.contacts()) == 1
    assert connection.state == "active"


def test_a_dead_token_is_no_withdrawal(rig):
    connection = rig.person()
    rig.run_well()
    connection.tokens_valid = False
    rig.peer.change(connection, "profile", given_name="Renamed")
    rig.restart()

    rig.run_well()

    assert rig.contact().fields["name"] == "Aysel Məmmədova"
    assert rig.dead()[0].error_class == "token-invalid"


def test_an_answer_without_its_log_entry_is_refused_p_33(rig):
    rig.person()
    rig.peer.omit_log_entry = True

    rig.run_well()

    assert rig.contacts() == []
    assert rig.dead()[0].error_class == "answer-rejected"


def test_the_latest_log_entry_of_each_stream_is_kept_p_33(rig):
    connection = rig.person()
    rig.run_well()
    rig.peer.touch(connection)
    rig.run_well()

    with rig.store.read() as state:
        (known,) = state.logbook.all()
        (entry,) = state.logbook.entries(known.stream)
    assert (known.stream, entry.seq) == (f"g.{connection.grant_id}", connection.log_seq)


def test_a_log_entry_that_was_named_before_is_refused_p_33(rig):
    connection = rig.person()
    rig.run_well()
    rig.peer.touch(connection)
    connection.log_seq -= 1

    rig.run_well()

    assert rig.dead()[0].message == "a log entry that was named before"


def test_only_one_run_at_a_time(rig_on):
    lease = rig_on.store.acquire()

    with pytest.raises(LeaseHeldError):
        rig_on.run()

    rig_on.store.release(lease, outcome="done", counts={})
    rig_on.run_well()


def test_a_run_that_lost_its_lease_writes_nothing_any_more_con_31(rig_on):
    slow = rig_on.store.acquire()
    rig_on.clock.forward(minutes=3)
    fast = rig_on.store.acquire()

    with pytest.raises(LeaseLostError), rig_on.store.write(slow) as state:
        state.queue.mark("connection-1")

    assert fast.token == slow.token + 1
    assert rig_on.lengths() == (0, 0)


def test_the_lease_is_renewed_while_a_run_goes_on(rig):
    lease = rig.store.acquire()
    rig.clock.forward(seconds=90)
    renewed = rig.store.renew(lease)
    rig.clock.forward(seconds=90)

    with pytest.raises(LeaseHeldError):
        rig.store.acquire()

    assert renewed.token == lease.token


def test_the_store_holds_no_personal_value_and_no_token_con_30(rig):
    connection = rig.person()
    bad = rig.person({**AYSEL, "contact": {"email": "nope-aysel"}})
    rig.run_well()
    rig.peer.withdraw(connection)
    rig.run_well()
    rig.store.engine.dispose()

    folder = rig.url.removeprefix("sqlite:///").rsplit("/", 1)[0]
    from pathlib import Path  # noqa: PLC0415 - needed here only

    content = b"".join(path.read_bytes() for path in Path(folder).iterdir() if path.is_file())
    for value in ("Aysel", "Məmmədova", "aysel@mail.example", "501234567", "Nizami", "nope-aysel"):
        assert value.encode() not in content
    for secret in (connection.refresh_token, bad.refresh_token):
        assert secret.encode() not in content


def test_the_trail_notices_an_edit(rig):
    rig.person()
    rig.run_well()
    assert audit(rig)

    with rig.store.write() as state:
        from connector.state.schema import audit as table  # noqa: PLC0415 - needed here only

        state.sql.execute(table.update().where(table.c.seq == 1).values(event="nothing.happened"))

    with rig.store.read() as state:
        assert state.audit.broken_at() == 1


@pytest.mark.parametrize("on_end", ["erase", "anonymise"])
def test_a_whole_erasure_works_on_both_policies(sqlite_url, on_end):
    rig = Rig(sqlite_url)
    rig.policy = type(rig.policy)(on_end=on_end, per_second=1e6, erase_per_second=1e6)
    rig.restart()
    connection = rig.person()
    rig.run_well()

    rig.peer.withdraw(connection)
    rig.run_well()

    assert rig.jobs()[0].state is ErasureState.ERASED
    rig.close()


def test_an_obligation_for_a_connection_that_the_store_forgot_is_still_met_con_g4(rig):
    connection = rig.person()
    rig.run_well()
    rig.peer.withdraw(connection)
    # The store was lost and made anew with the same secret: the key is all that leads back.
    with rig.store.write() as state:
        from connector.state import schema  # noqa: PLC0415 - needed here only

        for table in ("connection", "link", "ledger", "dirty", "cursor"):
            state.sql.execute(schema.metadata.tables[table].delete())

    rig.run_well()

    assert rig.contacts() == []
    assert [receipt["outcome"] for _, receipt in rig.peer.confirmations] == ["erased"]


def test_a_receipt_that_the_server_refuses_is_offered_again(rig):
    connection = rig.person()
    rig.run_well()
    obligation = rig.peer.withdraw(connection)
    rig.peer.fail(f"/v1/obligations/{obligation}", 409, code="conflict")

    assert rig.run_well().counts["receipts_refused"] == 1
    assert rig.run_well().counts["receipts"] == 1


def test_an_interrupted_run_gives_its_lease_back(rig):
    rig.person()

    def interrupt(point):
        if point is Point.PLANNED:
            raise KeyboardInterrupt

    rig.restart(reach=interrupt)
    with pytest.raises(KeyboardInterrupt):
        rig.run()

    rig.restart()
    rig.run_well()
    assert len(rig.contacts()) == 1
