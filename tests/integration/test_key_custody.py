"""What keys a grant holds, and what becomes of them when it ends (TAK-12, TAK-42 to TAK-45)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select

from consent.models import Grant
from pds.errors import ConflictError, NotFoundError
from pds.models import CollectionKey, KeyWrap
from pds.record_boxes import merge_source
from tests.support.attacker import Attacker, copy_tables
from tests.support.reading import page, values

EMAIL = "contact.email"


@pytest.fixture
def connected(world, aysel, shop):
    aysel.save("contact", email="old@example.com")
    aysel.save("profile", given_name="Aysel")
    return world.connect(aysel, shop, shop.publish(required=[EMAIL]))


def attacker(world, tables=None):
    return Attacker(tables or copy_tables(world.services.uow), world.services.keys.deployment)


def rows(world, model, *where):
    with world.services.uow.read() as session:
        return session.scalars(select(model).where(*where)).all()


def after_unlock(world, visitor):
    return world.services.custody.after_unlock(visitor.vault, visitor.open_vault)


def test_a_grant_holds_the_keys_of_its_collections_and_no_others(world, connected):
    """TAK-12."""
    held = {
        (wrap.wrapped_kind, wrap.wrapped_id)
        for wrap in rows(world, KeyWrap, KeyWrap.by_kind == "grant")
    }

    assert held == {("collection", "contact")}
    assert attacker(world).with_token(connected.access_token) == [{"email": "old@example.com"}]


def test_a_write_only_grant_holds_no_key_that_opens_records(world, aysel, shop):
    """D3, TAK-45: neither over HTTP nor with the database."""
    aysel.save("contact", email="old@example.com")
    template = shop.publish(required=[EMAIL], actions=["write"])

    connected = world.connect(aysel, shop, template, ask={"actions": ["write"]})

    assert connected.get("/v1/records").status_code == 403
    assert attacker(world).with_token(connected.access_token) == []
    assert attacker(world).with_token(connected.refresh_token) == []
    kinds = {wrap.wrapped_kind for wrap in rows(world, KeyWrap, KeyWrap.by_kind == "grant")}
    assert "collection" not in kinds


def test_withdrawal_deletes_every_wrap_of_the_grant_but_the_owners_copy(world, connected):
    """TAK-42."""
    (grant,) = rows(world, Grant)

    connected.withdraw()

    left = [
        (wrap.by_kind, wrap.wrapped_kind)
        for wrap in rows(world, KeyWrap)
        if str(grant.id) in {str(wrap.by_id), wrap.wrapped_id}
    ]
    assert left == [("vrk", "grant")]
    assert attacker(world).with_token(connected.access_token) == []


def test_after_a_withdrawal_an_old_copy_and_an_old_token_open_nothing_new(world, aysel, connected):
    """TAK-43, TAK-44: what was written before stays open to them, and that is documented."""
    stolen = copy_tables(world.services.uow)
    connected.withdraw()

    housekeeping = aysel.sign_in()
    aysel.save("contact", email="new@example.com")

    now = copy_tables(world.services.uow)
    mixed = now | {name: stolen[name] for name in ("key_wraps", "tokens", "grants")}
    assert housekeeping.rotated == ("contact",)
    assert attacker(world, mixed).with_token(connected.access_token) == [
        {"email": "old@example.com"}
    ]


@pytest.mark.usefixtures("connected")
def test_expiry_rotates_keys_as_withdrawal_does(world, clock, aysel):
    """TAK-43."""
    clock.move(days=31)
    services = world.services
    services.uow.write(lambda session: services.endings.end_due(session, now=services.clock.now()))

    assert aysel.sign_in().rotated == ("contact",)


@pytest.mark.usefixtures("connected")
def test_an_unlock_that_finds_nothing_due_rotates_nothing(aysel):
    assert aysel.sign_in().rotated == ()


def test_other_grants_read_what_is_written_under_the_new_key(world, aysel, connected):
    """TAK-43: the new version is wrapped for them by the owner's copies."""
    bank = world.organisation("Bank")
    other = world.connect(aysel, bank, bank.publish(required=[EMAIL]))
    connected.withdraw()
    aysel.sign_in()
    aysel.save("contact", email="new@example.com")

    assert values(page(other), "email") == ["old@example.com", "new@example.com"]
    assert [one.data["email"] for one in aysel.records.all(["contact"])] == [
        "old@example.com",
        "new@example.com",
    ]


def test_a_new_grant_reads_records_of_all_key_versions(world, aysel, shop, connected):
    connected.withdraw()
    aysel.sign_in()
    aysel.save("contact", email="new@example.com")

    again = world.connect(aysel, shop, connected.template)

    assert values(page(again), "email") == ["old@example.com", "new@example.com"]


def test_a_record_is_found_again_by_its_merge_key_after_a_rotation(aysel, connected):
    """The tag is keyed by the collection key, which is another one now."""
    connected.withdraw()
    aysel.sign_in()

    found = aysel.records.find_mergeable(
        "contact", [merge_source("contact", {"email": "old@example.com"})]
    )

    assert len(found) == 1


def test_two_unlocks_at_once_rotate_a_key_once(world, aysel, connected):
    connected.withdraw()
    visitor = aysel.visitor

    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda _: after_unlock(world, visitor), range(4)))

    assert sorted(one.rotated for one in done) == [(), (), (), ("contact",)]
    versions = rows(world, CollectionKey, CollectionKey.collection == "contact")
    assert sorted((one.version, one.is_current) for one in versions) == [(1, False), (2, True)]


def test_consent_given_while_a_key_rotates_elsewhere_does_not_miss_the_new_key(
    world, aysel, connected
):
    """Either the decision is to be made again, or its grant reads what is written afterwards."""
    bank = world.organisation("Bank")
    template = bank.publish(required=[EMAIL])
    request_uri, verifier = world.push(bank, bank.details(template))
    opened = world.open_request(aysel, bank, request_uri)
    stale = aysel.visitor
    connected.withdraw()
    aysel.sign_in()
    aysel.save("contact", email="new@example.com")

    try:
        callback = world.allow(aysel, opened, visitor=stale)
    except ConflictError:
        callback = world.allow(aysel, opened)

    tokens = bank.client.redeem(callback["code"], verifier).json()
    body = bank.get("/v1/records", tokens["access_token"]).json()
    assert values(body, "email") == ["old@example.com", "new@example.com"]


def test_an_unlock_that_began_before_another_consent_still_rotates(world, aysel, connected):
    """The other consent's key is wrapped after this visitor's keys were read."""
    stale = aysel.visitor
    bank = world.organisation("Bank")
    other = world.connect(aysel, bank, bank.publish(required=[EMAIL]))
    connected.withdraw()

    assert after_unlock(world, stale).rotated == ("contact",)
    aysel.sign_in()
    aysel.save("contact", email="new@example.com")
    assert "new@example.com" in values(page(other), "email")


def test_a_vault_knows_no_record_of_another(world, aysel):
    """SEC-S23: the same answer as for what is not there."""
    leyla = world.person("leyla")
    hers = aysel.save("contact", email="a@example.com")

    with pytest.raises(NotFoundError):
        leyla.records.get(hers.id)
    with pytest.raises(NotFoundError):
        leyla.records.delete(hers.id, version=1)
