"""Deleting a vault: asked for, kept after all, carried out (P-16, P-36, LOG-9)."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from consent.auditing.models import Unmasking
from consent.models import Event, EventPayload
from pds import models
from pds.errors import NotFoundError, WrongSecretError
from pds.sealed_files import keep
from tests.support.auditing import asked_by, engaged
from tests.support.mailbox import Mailbox, confirmed, send_letters
from tests.support.world import PASSPHRASE


@pytest.fixture
def deletions(world):
    return world.services.deletions


@pytest.fixture
def mailbox(world, aysel):
    return confirmed(world.services, aysel, Mailbox())


@pytest.fixture
def shared(world, aysel, shop):
    aysel.save("contact", email="a@example.com")
    return world.connect(aysel, shop, shop.publish(required=["contact.email"]))


def rows(world, model, *where):
    with world.services.uow.read() as session:
        return session.scalars(select(model).where(*where)).all()


def a_file_of(world, person):
    """Put a file into somebody's vault that nothing but its deletion ends."""
    files = world.services.files(person.visitor)
    writer = files.write(most_bytes=100)
    writer.write(b"scan")
    whole = writer.finish()
    world.services.uow.write(lambda session: keep(session, files.vault, [whole.id]))


def events(world):
    return [event.name for event in sorted(rows(world, Event), key=lambda one: one.id)]


def carry_out(world):
    """Do what the worker does, to the end; returns how many jobs it took."""
    services, jobs = world.services, 0
    while services.uow.write(
        lambda session: services.deletions.carry_out(session, now=services.clock.now())
    ):
        jobs += 1
    return jobs


def test_nothing_is_deleted_before_its_time_and_asking_again_changes_nothing(
    world, clock, deletions, aysel, mailbox
):
    vault = aysel.visitor.vault
    first = deletions.ask(vault, is_limited=True, asks_erasure=True)
    clock.move(days=6, hours=23)

    assert deletions.ask(vault, is_limited=False, asks_erasure=False) == first
    assert carry_out(world) == 0
    assert deletions.pending(vault) == first
    aysel.sign_in()
    assert aysel.visitor.deletion_due_at == first.due_at
    assert send_letters(world.services, mailbox).subjects() == ["Your vault will be deleted"]
    assert events(world).count("vault.deletion_asked") == 1


def test_whoever_signs_in_keeps_the_vault_and_a_limited_sign_in_only_what_one_asked_for(
    world, clock, deletions, aysel, mailbox
):
    vault = aysel.visitor.vault
    deletions.ask(vault, is_limited=False, asks_erasure=True)
    assert not deletions.cancel(vault, is_limited=True)
    assert deletions.pending(vault)
    assert deletions.cancel(vault, is_limited=False)
    assert not deletions.cancel(vault, is_limited=False)
    deletions.ask(vault, is_limited=True, asks_erasure=True)
    assert deletions.cancel(vault, is_limited=True)
    clock.move(days=8)

    assert carry_out(world) == 0
    assert world.services.accounts.enter(aysel.login, PASSPHRASE)
    assert send_letters(world.services, mailbox).subjects()[1] == "Your vault is kept"
    assert [name for name in events(world) if "deletion" in name] == [
        "vault.deletion_asked",
        "vault.deletion_cancelled",
    ] * 2


@pytest.mark.usefixtures("shared")
def test_what_auditors_asked_about_somebody_goes_with_the_vault(
    world, clock, deletions, aysel, shop
):
    """AUD-1: a reason may name them."""
    asked_by(engaged(world, shop), aysel)
    vault = aysel.visitor.vault
    assert rows(world, Unmasking, Unmasking.vault_id == vault.id) != []
    deletions.ask(vault, is_limited=True, asks_erasure=True)
    clock.move(days=7, seconds=1)
    carry_out(world)

    assert rows(world, Unmasking) == []


def test_at_its_end_sharing_stops_and_every_key_and_record_is_gone(
    world, deletions, aysel, mailbox, shared
):
    """P-36: the log stays whole, its private parts go. Nobody else's vault is touched."""
    clock = world.services.clock
    leyla = world.person("leyla")
    leyla.save("contact", email="leyla@example.com")
    vault = aysel.visitor.vault
    for person in (aysel, leyla):
        a_file_of(world, person)
    deletions.ask(vault, is_limited=True, asks_erasure=True)
    clock.move(days=7, seconds=1)

    assert carry_out(world) > 1

    assert shared.get("/v1/records").status_code in {401, 403, 410}
    for model in (
        models.KeyWrap,
        models.CollectionKey,
        models.Record,
        models.RecordVersion,
        models.SealedFile,
        models.SealedChunk,
        models.Account,
        models.LoginName,
        models.SignIn,
        models.Unlock,
        models.VaultDeletion,
    ):
        assert rows(world, model, model.vault_id == vault.id) == [], model
        if model is not models.RecordVersion and model is not models.VaultDeletion:
            assert rows(world, model, model.vault_id == leyla.vault_id) != [], model
    mine = [event.id for event in rows(world, Event, Event.vault_id == vault.id)]
    payloads = rows(world, EventPayload, EventPayload.event_id.in_(mine))
    assert len(payloads) == len(mine) > 5
    assert {one.priv_box for one in payloads} == {None}
    assert {"consent.withdrawn", "erasure.requested", "vault.deleted"} <= set(events(world))
    for attempt in (
        lambda: world.services.accounts.enter(aysel.login, PASSPHRASE),
        lambda: world.services.accounts.recover(aysel.login, aysel.recovery_code, PASSPHRASE + "x"),
    ):
        with pytest.raises(WrongSecretError):
            attempt()
    with pytest.raises(NotFoundError):
        deletions.cancel(vault, is_limited=False)
    send_letters(world.services, mailbox)
    assert mailbox.subjects()[-1] == "Your vault is deleted"
    assert [row.to_box for row in rows(world, models.Letter)] == [None] * len(
        rows(world, models.Letter)
    )
    assert world.person("aysel").vault_id != vault.id  # the name is free again
