"""Documents that organisations leave in a locked vault (P-18, TAK-13, TAK-24, SEC-S74)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest
from sqlalchemy import delete, select, update

from consent.models import Event
from pds import deposits as module
from pds.models import CollectionKey, Deposit, KeyWrap
from pds.records import Draft
from tests.support.attacker import Attacker, copy_tables
from tests.support.reading import Mirror, page

PRODUCT = {"product_type": "insurance", "name": "Kasko", "provider": "Sığorta"}


@pytest.fixture
def aysel(world):
    return world.person()


@pytest.fixture
def insurer(world):
    return world.organisation("Sığorta")


@pytest.fixture
def writes(world, aysel, insurer):
    """Connect for writing alone."""
    return connect(world, aysel, insurer, ["write"])


def connect(world, person, organisation, actions):
    template = organisation.publish(
        required=["products.product_type", "products.name", "products.provider"], actions=actions
    )
    return world.connect(person, organisation, template, ask={"actions": actions})


def deposit(connected, data=PRODUCT, *, document_id="policy-1", collection="products"):
    body = {"document_id": document_id, "data": data}
    return connected.post(f"/v1/records/{collection}", body)


def deposits(world):
    with world.services.uow.read() as session:
        return session.scalars(select(Deposit).order_by(Deposit.document_id)).all()


def events(world, name):
    with world.services.uow.read() as session:
        return session.scalars(select(Event).where(Event.name == name)).all()


def products(person):
    return [record.data for record in person.records.all(["products"])]


def tamper(world, model, **values):
    world.services.uow.write(lambda session: session.execute(update(model).values(**values)))


def test_a_deposit_becomes_a_record_at_the_next_unlock(aysel, writes):
    answer = deposit(writes)
    assert answer.status_code == 202
    assert answer.headers["PDS-Log-Entry"]
    assert products(aysel) == []

    assert aysel.sign_in().absorbed == 1

    assert products(aysel) == [PRODUCT]
    (record,) = aysel.records.all(["products"])
    assert record.author.kind == "organisation"


def test_a_deposit_is_in_no_feed_until_it_is_absorbed(world, aysel, writes):
    """P-18."""
    bank = world.organisation("Bank")
    mirror = Mirror(connect(world, aysel, bank, ["read"]))
    deposit(writes)
    assert mirror.catch_up() == []

    aysel.sign_in()

    (told,) = mirror.catch_up()
    assert told["data"] == PRODUCT
    assert told["author"] == {"kind": "organisation"}


def test_its_author_is_you_to_the_client_that_made_it(world, aysel, insurer):
    """P-2: to any other client it is `organisation`."""
    both = connect(world, aysel, insurer, ["read", "write"])
    deposit(both)
    aysel.sign_in()

    assert page(both)["records"][0]["author"] == {"kind": "you"}


def test_nothing_at_rest_opens_a_deposit_that_waits(world, writes):
    """Only the owner's collection key does: a write-only token has none (TAK-45)."""
    deposit(writes)

    (waiting,) = deposits(world)

    assert b"Kasko" not in waiting.box
    spy = Attacker(copy_tables(world.services.uow), world.services.keys.deployment)
    assert spy.with_token(writes.access_token) == []


def test_a_database_writer_cannot_have_deposits_sealed_to_a_key_of_their_own(world, aysel, writes):
    """TAK-45: the public key comes from under the grant key, not from its plain row."""
    tamper(world, CollectionKey, public_key=b"\x09" + bytes(31))

    assert deposit(writes).status_code == 202

    assert aysel.sign_in().absorbed == 1


def test_a_swapped_public_key_wrap_takes_no_deposit(world, writes):
    """TAK-45, TAK-21."""
    tamper(world, KeyWrap, blob=bytes(120))

    answer = deposit(writes)

    assert answer.status_code != 202
    assert deposits(world) == []


def test_a_deposit_under_the_same_id_replaces_the_same_clients_document(world, aysel, writes):
    deposit(writes)
    deposit(writes, PRODUCT | {"name": "Kasko 2"})
    assert len(deposits(world)) == 1
    aysel.sign_in()
    assert products(aysel) == [PRODUCT | {"name": "Kasko 2"}]

    deposit(writes, PRODUCT | {"name": "Kasko 3"})
    aysel.sign_in()

    assert products(aysel) == [PRODUCT | {"name": "Kasko 3"}]


def test_a_document_that_is_replaced_while_it_is_absorbed_stays_pending(
    world, aysel, writes, monkeypatch
):
    deposit(writes)
    opened = module.open_deposit

    def replaced_meanwhile(*args, **kwargs):
        monkeypatch.setattr(module, "open_deposit", opened)
        assert deposit(writes, PRODUCT | {"name": "newer"}).status_code == 202
        return opened(*args, **kwargs)

    monkeypatch.setattr(module, "open_deposit", replaced_meanwhile)

    aysel.sign_in()

    (waiting,) = deposits(world)
    assert waiting.state == "pending"
    aysel.sign_in()
    assert products(aysel) == [PRODUCT | {"name": "newer"}]


def test_another_clients_document_of_the_same_id_is_another_document(world, aysel, writes):
    other = connect(world, aysel, world.organisation("Başqa"), ["write"])
    deposit(writes)
    deposit(other, PRODUCT | {"name": "other"})

    assert aysel.sign_in().absorbed == 2

    assert len(products(aysel)) == 2


def test_a_document_id_belongs_to_one_collection(world, aysel, insurer):
    template = insurer.publish(
        required=["products.product_type", "interests.topic"], actions=["write"]
    )
    connected = world.connect(aysel, insurer, template, ask={"actions": ["write"]})
    assert deposit(connected, {"product_type": "insurance"}).status_code == 202

    answer = deposit(connected, {"topic": "chess"}, collection="interests")

    assert answer.status_code == 409


def test_two_unlocks_at_once_absorb_a_deposit_once(world, aysel, writes):
    """SEC-S74."""
    for n in range(4):
        deposit(writes, PRODUCT | {"name": f"Kasko {n}"}, document_id=f"policy-{n}")
    visitors = [aysel.visitor for _ in range(4)]

    with ThreadPoolExecutor(4) as pool:
        done = list(
            pool.map(lambda v: world.services.custody.after_unlock(v.vault, v.open_vault), visitors)
        )

    assert sum(one.absorbed for one in done) == 4
    assert [record.version for record in aysel.records.all(["products"])] == [1] * 4
    assert len(events(world, "deposit.absorbed")) == 4


def test_an_unlock_that_was_slow_does_not_undo_the_owners_own_edit(
    world, aysel, writes, monkeypatch
):
    """SEC-S74: it read the deposit as pending, and meanwhile it was absorbed and edited."""
    deposit(writes)
    visitor, opened = aysel.visitor, module.open_deposit

    def absorbed_and_edited_meanwhile(*args, **kwargs):
        monkeypatch.setattr(module, "open_deposit", opened)
        aysel.sign_in()
        (record,) = aysel.records.all(["products"])
        edited = PRODUCT | {"name": "mine"}
        aysel.records.save(Draft("products", edited, record.id, record.version))
        return opened(*args, **kwargs)

    monkeypatch.setattr(module, "open_deposit", absorbed_and_edited_meanwhile)

    assert world.services.custody.after_unlock(visitor.vault, visitor.open_vault).absorbed == 0

    assert products(aysel) == [PRODUCT | {"name": "mine"}]


def test_a_deposit_for_a_record_that_its_owner_deleted_does_not_bring_it_back(world, aysel, writes):
    """The owner's deletion stands; the document is shown as quarantined, not left waiting."""
    deposit(writes)
    aysel.sign_in()
    (record,) = aysel.records.all(["products"])
    aysel.records.delete(record.id, version=record.version)

    deposit(writes, PRODUCT | {"name": "again"})
    assert aysel.sign_in().absorbed == 0

    assert products(aysel) == []
    (waiting,) = deposits(world)
    assert (waiting.state, waiting.reason) == ("quarantined", "record-deleted")


def test_a_deposit_does_not_take_the_place_of_what_there_is_only_one_of(world, aysel, insurer):
    template = insurer.publish(required=["profile.given_name"], actions=["write"])
    connected = world.connect(aysel, insurer, template, ask={"actions": ["write"]})
    aysel.save("profile", given_name="Aysel")
    deposit(connected, {"given_name": "Somebody"}, collection="profile")

    assert aysel.sign_in().absorbed == 0

    (waiting,) = deposits(world)
    assert (waiting.state, waiting.reason) == ("quarantined", "conflict")
    assert [one.data for one in aysel.records.all(["profile"])] == [{"given_name": "Aysel"}]


@pytest.mark.parametrize(
    "change",
    [
        {"collection": "interests"},
        {"document_id": "policy-2"},
        {"client_id": "another"},
        {"box": "flipped"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_deposit_that_was_tampered_with_is_quarantined_and_logged(world, aysel, writes, change):
    """P-18: it is bound to vault, grant, client, collection and document."""
    deposit(writes)
    (waiting,) = deposits(world)
    if change.get("box"):
        change = {"box": waiting.box[:-40] + bytes([waiting.box[-40] ^ 1]) + waiting.box[-39:]}
    if change.get("client_id"):
        change = {"client_id": waiting.vault_id}
    tamper(world, Deposit, **change)

    assert aysel.sign_in().absorbed == 0

    (waiting,) = deposits(world)
    assert (waiting.state, waiting.reason) == ("quarantined", "decryption-failed")
    assert products(aysel) == []
    assert len(events(world, "deposit.quarantined")) == 1


def test_a_deposit_moved_to_another_grant_is_quarantined(world, aysel, writes):
    """Anyone can encrypt to a public key; the MAC is of the grant that made it (TAK-24)."""
    other = connect(world, aysel, world.organisation("Başqa"), ["write"])
    deposit(writes)
    tamper(world, Deposit, grant_id=UUID(other.body["grant_id"]))

    assert aysel.sign_in().absorbed == 0

    assert deposits(world)[0].state == "quarantined"


def test_a_deposit_of_a_grant_that_is_unknown_is_quarantined(world, aysel, writes):
    deposit(writes)
    world.services.uow.write(
        lambda session: session.execute(delete(KeyWrap).where(KeyWrap.wrapped_kind == "grant"))
    )

    aysel.sign_in()

    assert (deposits(world)[0].state, deposits(world)[0].reason) == (
        "quarantined",
        "key-unavailable",
    )


def test_a_deposit_made_before_a_key_rotation_is_still_absorbed(aysel, writes):
    deposit(writes)
    writes.withdraw()

    done = aysel.sign_in()

    assert (done.rotated, done.absorbed) == (("products",), 1)


def test_a_deposit_made_after_a_key_rotation_is_absorbed(world, aysel, writes):
    bank = world.organisation("Bank")
    connect(world, aysel, bank, ["read"]).withdraw()
    assert aysel.sign_in().rotated == ("products",)

    assert deposit(writes).status_code == 202

    assert aysel.sign_in().absorbed == 1


def test_writing_needs_the_action_and_the_attribute(world, aysel, writes):
    reads = connect(world, aysel, world.organisation("Bank"), ["read"])

    assert deposit(reads).status_code == 403
    assert deposit(writes, collection="contact", data={"email": "a@example.com"}).status_code == 403
    refused = deposit(writes, PRODUCT | {"account_number": "1"})
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["rule"] == "not_agreed"
    assert deposits(world) == []


def test_after_a_withdrawal_nothing_is_deposited(world, writes):
    writes.withdraw()

    assert deposit(writes).status_code == 403
    assert deposits(world) == []
