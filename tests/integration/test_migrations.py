"""Migrations on both stores: up, down, up with data, and what they refuse.

While the schema still moves, write the first migration anew from the models:

    python -m tests.support.new_migration --initial
"""

from __future__ import annotations

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine, inspect, text

from api import schema
from pds.errors import ConfigurationError
from pds.ids import random_uuid
from tests.support.events import add_person
from tests.support.new_migration import VERSIONS, all_tables
from tests.support.reading import page
from tests.support.worlds import world_on

REVISIONS = sorted(path.name.partition("_")[0] for path in VERSIONS.glob("[0-9]*.py"))


@pytest.fixture
def engine(stores, store_kind):
    with stores.empty(store_kind) as settings:
        engine = create_engine(settings.database_url)
        yield engine
        engine.dispose()


def tables(engine):
    return set(inspect(engine).get_table_names())


def content(engine):
    with engine.connect() as connection:
        return {
            name: connection.execute(text(f'SELECT count(*) FROM "{name}"')).scalar()  # noqa: S608
            for name in sorted(tables(engine))
        }


def set_revision(engine, revision):
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = :it"), {"it": revision})


def test_an_empty_store_comes_up_to_the_newest_schema(engine):
    schema.upgrade(engine)

    assert schema.current(engine) == schema.head()
    assert tables(engine) == {*all_tables().tables, "alembic_version"}


def test_upgrading_twice_changes_nothing(engine):
    schema.upgrade(engine)
    before = content(engine)

    schema.upgrade(engine)

    assert content(engine) == before


def test_models_and_migrations_agree(engine):
    """What a migration builds is what the models expect: columns, types, keys, indexes."""
    schema.upgrade(engine)

    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, all_tables()) == []


def test_going_down_leaves_nothing_and_up_again_everything(engine):
    schema.upgrade(engine)
    schema.downgrade(engine, "base")
    assert tables(engine) <= {"alembic_version"}

    schema.upgrade(engine)
    assert tables(engine) == {*all_tables().tables, "alembic_version"}


def test_data_outlives_an_upgrade(store):
    person = add_person(store.uow)

    schema.upgrade(store.uow.engine)

    with store.uow.read() as session:
        found = session.execute(text("SELECT bucket, state FROM vaults")).one()
    assert tuple(found) == (person.ref.bucket, "active")


def test_entries_of_a_feed_get_events_and_go_back_to_kinds(engine):
    schema.upgrade(engine)
    schema.downgrade(engine, "0001")
    organisation = random_uuid().hex
    with engine.begin() as connection:
        for number, kind in enumerate(["data", "consent"], start=1):
            connection.execute(
                text(
                    "INSERT INTO feed_entries (organisation_id, number, connection_id, kind)"
                    " VALUES (:it, :number, :it, :kind)"
                ),
                {"it": organisation, "number": number, "kind": kind},
            )

    schema.upgrade(engine)
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT event, at FROM feed_entries ORDER BY number")).all()
    schema.downgrade(engine, "0001")

    assert [event for event, _ in rows] == ["data.updated", "consent.changed"]
    assert None not in [at for _, at in rows]
    with engine.connect() as connection:
        kinds = connection.execute(text("SELECT kind FROM feed_entries ORDER BY number"))
        assert list(kinds.scalars()) == ["data", "consent"]


def test_a_lived_in_store_goes_down_step_by_step_and_up_again_with_its_data_rel_r8(store):
    with world_on(store) as world:
        person, shop = world.person(), world.organisation()
        person.save("contact", email="aysel@poct.example")
        connected = world.connect(person, shop, shop.publish(required=["contact.email"]))
        read = page(connected)["records"][0]["data"]
        engine, before = store.uow.engine, content(store.uow.engine)

        for revision in reversed(REVISIONS[:-1]):
            schema.downgrade(engine, revision)
        oldest = content(engine)
        for revision in REVISIONS[1:]:
            schema.upgrade(engine, revision)

        after = content(engine)
        assert {name: after[name] for name in oldest} == {name: before[name] for name in oldest}
        assert page(connected)["records"][0]["data"] == read
        person.sign_in()
        connected.withdraw()
        assert connected.get("/v1/records").status_code == 403


@pytest.mark.parametrize("step", [schema.upgrade, schema.require_head])
def test_a_store_of_a_newer_version_is_refused_and_left_alone(engine, step):
    schema.upgrade(engine)
    set_revision(engine, "9999_from_the_future")
    before = content(engine)

    with pytest.raises(ConfigurationError, match="newer version"):
        step(engine)

    assert content(engine) == before
    assert schema.current(engine) == "9999_from_the_future"


def test_an_empty_store_is_not_worked_on(engine):
    with pytest.raises(ConfigurationError, match="pds db upgrade"):
        schema.require_head(engine)

    assert tables(engine) <= {"alembic_version"}


def test_a_store_refuses_an_unknown_state(store):
    with pytest.raises(Exception, match="state_known"):
        store.uow.write(
            lambda session: session.execute(
                text(
                    "INSERT INTO vaults (bucket, id, state, seq, event_seq, created_at)"
                    " VALUES (1, '00000000000000000000000000000000', 'odd', 0, 0, '2026-01-01')"
                )
            )
        )


def test_consent_events_of_before_get_the_act_that_led_to_them(engine):
    schema.upgrade(engine, "0003")
    statuses = {
        "Given": "allow",
        "Withdrawn": "withdraw",
        "Expired": "expire",
        "Revoked": "replace",
    }
    with engine.begin() as connection:
        for seq, status in enumerate(statuses, start=1):
            connection.execute(
                text(
                    "INSERT INTO consent_events (bucket, agreement_id, seq, status,"
                    " agreement_version, at, actor, stream, stream_seq) VALUES (1,"
                    " '00000000000000000000000000000000', :seq, :status, 1, '2026-01-01',"
                    " 'individual', 'g.0', 1)"
                ),
                {"seq": seq, "status": f"dpv:Consent{status}"},
            )

    schema.upgrade(engine)

    with engine.connect() as connection:
        found = connection.execute(text("SELECT act FROM consent_events ORDER BY seq"))
        assert list(found.scalars()) == list(statuses.values())


def test_without_passkeys_what_they_wrapped_is_gone_and_other_ways_in_stay(engine):
    schema.upgrade(engine, "0016")
    insert = text(
        "INSERT INTO key_wraps (bucket, by_kind, by_id, wrapped_kind, wrapped_id,"
        " wrapped_version, vault_id, blob, created_at)"
        " VALUES (1, :kind, :it, 'vrk', 'v', 1, :it, :blob, '2026-01-01')"
    )
    with engine.begin() as connection:
        for kind in ("passkey", "passphrase", "recovery"):
            values = {"kind": kind, "it": random_uuid().hex, "blob": b"sealed"}
            connection.execute(insert, values)

    schema.downgrade(engine, "0015")

    with engine.connect() as connection:
        found = connection.execute(text("SELECT by_kind FROM key_wraps ORDER BY by_kind"))
        assert list(found.scalars()) == ["passphrase", "recovery"]


def test_imports_of_before_stay_and_without_undo_theirs_is_dropped(engine):
    schema.upgrade(engine, "0027")
    job = text(
        "INSERT INTO import_jobs (bucket, vault_id, id, format, state, total, done, report_box,"
        " created_at) VALUES (1, :it, :it, 'vcard', :state, 1, 1, :blob, '2026-01-01')"
    )
    staged = text(
        "INSERT INTO staged_batches (bucket, vault_id, import_id, number, box)"
        " VALUES (1, :it, :it, 0, :blob)"
    )
    kept, waiting, undone = (random_uuid().hex for _ in range(3))
    with engine.begin() as connection:
        connection.execute(job, {"it": kept, "state": "staged", "blob": b"sealed"})
        connection.execute(staged, {"it": kept, "blob": b"sealed"})

    schema.upgrade(engine, "0028")

    with engine.begin() as connection:
        found = connection.execute(text("SELECT kind FROM staged_batches"))
        assert list(found.scalars()) == ["candidates"]
        for it, state, kind in ((waiting, "mapping", "upload"), (undone, "undone", "undo")):
            connection.execute(job, {"it": it, "state": state, "blob": b"sealed"})
            connection.execute(staged, {"it": it, "blob": b"sealed"})
            connection.execute(
                text("UPDATE staged_batches SET kind = :kind WHERE vault_id = :it"),
                {"kind": kind, "it": it},
            )

    schema.downgrade(engine, "0027")

    with engine.connect() as connection:
        states = connection.execute(text("SELECT state FROM import_jobs ORDER BY state"))
        assert list(states.scalars()) == ["cancelled", "staged"]
        assert len(connection.execute(text("SELECT number FROM staged_batches")).all()) == 1


def test_records_stay_with_and_without_the_parts_of_their_lists(engine):
    schema.upgrade(engine, "0030")
    record = text(
        "INSERT INTO records (bucket, vault_id, id, collection, version, seq, changed_at,"
        " author_kind, deleted, key_version, box) VALUES (1, :it, :it, 'contact', 1, 1,"
        " '2026-01-01', 'owner', FALSE, 1, :blob)"
    )
    part = text(
        "INSERT INTO list_parts (bucket, vault_id, collection, after_seq, through_seq, keys_box,"
        " texts_box) VALUES (1, :it, 'contact', 0, 1, :blob, :blob)"
    )
    values = {"it": random_uuid().hex, "blob": b"sealed"}
    with engine.begin() as connection:
        connection.execute(record, values)

    schema.upgrade(engine, "0031")
    with engine.begin() as connection:
        connection.execute(part, values)
    schema.downgrade(engine, "0030")

    with engine.connect() as connection:
        assert len(connection.execute(text("SELECT id FROM records")).all()) == 1
        assert "list_parts" not in inspect(connection).get_table_names()


def test_a_step_back_leaves_no_key_with_a_personal_app(engine):
    """TAK-41: what nobody could end any more may not hold a key."""
    schema.upgrade(engine, "0033")
    wrap = text(
        "INSERT INTO key_wraps (bucket, by_kind, by_id, wrapped_kind, wrapped_id, wrapped_version,"
        " vault_id, blob, created_at)"
        " VALUES (1, :by, :it, :what, :name, 1, :it, :blob, '2026-01-01')"
    )
    app = text(
        "INSERT INTO personal_apps (bucket, id, vault_id, label_box, jkt, collections, verifier,"
        " created_at, expires_at, reads) VALUES (1, :it, :it, :blob, 'x', '[]', :blob,"
        " '2026-01-01', '2026-02-01', 0)"
    )
    it = random_uuid().hex
    with engine.begin() as connection:
        connection.execute(app, {"it": it, "blob": b"sealed"})
        for by, what in (
            ("app-token", "app"),
            ("vrk", "app"),
            ("app", "collection"),
            ("vrk", "collection"),
        ):
            values = {"by": by, "what": what, "it": it, "name": it, "blob": b"sealed"}
            connection.execute(wrap, values)
    schema.downgrade(engine, "0032")

    with engine.connect() as connection:
        left = connection.execute(text("SELECT by_kind, wrapped_kind FROM key_wraps")).all()
        assert [tuple(each) for each in left] == [("vrk", "collection")]
        assert "personal_apps" not in inspect(connection).get_table_names()


def test_accounts_stay_when_it_is_forgotten_who_kept_a_recovery_code(engine):
    schema.upgrade(engine, "0036")
    account = text(
        "INSERT INTO accounts (bucket, vault_id, login_box, muted, passphrase_verifier,"
        " passphrase_salt, argon2, pepper_version, recovery_verifier, locale, theme)"
        " VALUES (1, :it, :blob, '[]', :blob, :blob, 'x', 1, :blob, 'az', 'auto')"
    )
    with engine.begin() as connection:
        connection.execute(account, {"it": random_uuid().hex, "blob": b"sealed"})
    schema.upgrade(engine, "0037")
    with engine.begin() as connection:
        assert connection.execute(text("SELECT recovery_kept_at FROM accounts")).all() == [(None,)]
        connection.execute(text("UPDATE accounts SET recovery_kept_at = '2026-01-01'"))
    schema.downgrade(engine, "0036")

    with engine.connect() as connection:
        assert connection.execute(text("SELECT locale FROM accounts")).all() == [("az",)]
