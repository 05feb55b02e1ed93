"""A database writer without keys cannot widen a consent, nor read (P-9, P-12, TAK-21, TAK-22).

THR-16: they may destroy; what they then find is a refusal, never data.
"""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select, update

from api.oauth.models import Token
from consent.formats import canonical
from consent.models import Agreement, AgreementVersion, ConsentEvent, Grant
from pds.crypto.secrets import mint, parse
from pds.errors import DecryptionError
from pds.models import KeyWrap, Record, RecordVersion
from pds.records import Draft
from tests.support.oauth_client import new_key
from tests.support.reading import Mirror, page, values

EMAIL = "contact.email"
CANARY = "AZE12345678"


@pytest.fixture
def aysel(world):
    aysel = world.person()
    aysel.save("contact", email="a@example.com")
    aysel.save("contact", phone="+994501234567")
    aysel.save("identity", national_id=CANARY)
    return aysel


@pytest.fixture
def shop(world):
    return world.organisation()


@pytest.fixture
def connected(world, aysel, shop):
    template = shop.publish(required=[EMAIL], optional=["contact.phone", "identity.national_id"])
    return world.connect(aysel, shop, template)


def rows(world, model, *where):
    with world.services.uow.read() as session:
        return session.scalars(select(model).where(*where)).all()


def write(world, model, *where, **values):
    world.services.uow.write(
        lambda session: session.execute(update(model).where(*where).values(**values))
    )


def refuses(connected, **kwargs):
    """Tell that nothing comes out, whatever the refusal looks like."""
    answer = connected.get("/v1/records", **kwargs)
    return answer.status_code >= 400 and "records" not in answer.json()


@pytest.mark.tampers
def test_wider_attributes_in_the_agreements_row_widen_nothing(world, connected):
    """P-9."""
    (version,) = rows(world, AgreementVersion)
    document = canonical.parse(version.document)
    document["attributes"] += ["contact.phone", "identity.national_id"]
    document["denied"] = []
    write(world, AgreementVersion, document=canonical.canonical_bytes(document))

    body = page(connected)

    assert values(body, "email") == ["a@example.com"]
    assert values(body, "phone") == []
    assert body["manifest"]["agreed"] == [EMAIL]
    assert connected.get("/v1/grant").json()["attributes"] == [EMAIL]
    assert connected.get("/v1/records", params={"collection": "identity"}).status_code == 403


@pytest.mark.tampers
def test_a_later_expiry_in_the_rows_prolongs_nothing(world, clock, connected):
    """P-9: the sealed terms end when they end."""
    later = clock.now() + timedelta(days=365)
    for model in (Grant, Agreement):
        write(world, model, expires_at=later)
    clock.move(days=29, hours=23, minutes=59)
    token = connected.organisation.client.refresh(connected.refresh_token).json()["access_token"]
    clock.move(minutes=2)

    answer = connected.organisation.get("/v1/records", token)

    assert answer.status_code == 403
    assert answer.json()["type"].endswith("/consent-expired")


def test_an_earlier_expiry_in_the_rows_shortens(world, clock, connected):
    """P-9: plain rows can only narrow."""
    write(world, Grant, expires_at=clock.now())

    assert connected.get("/v1/records").status_code == 403


def test_terms_of_another_grant_do_not_open(world, aysel, connected):
    """P-9: they are bound to their grant."""
    bank = world.organisation("Bank")
    wide = bank.publish(required=[EMAIL, "contact.phone"])
    other = world.connect(aysel, bank, wide)
    (theirs,) = rows(world, Grant, Grant.id != _grant_id(world, connected))
    write(world, Grant, Grant.id == _grant_id(world, connected), terms_box=theirs.terms_box)

    assert refuses(connected)
    assert values(page(other), "phone") == ["+994501234567"]


@pytest.mark.tampers
def test_a_withdrawn_agreement_set_active_again_releases_nothing(world, connected):
    """D8: live by its rows, and yet its token opens nothing."""
    connected.withdraw()
    write(world, Agreement, state="active")
    write(world, Grant, state="active")
    assert connected.get("/v1/records").json()["type"].endswith("/consent-withdrawn")
    write(world, ConsentEvent, status="dpv:ConsentGiven")

    answer = connected.get("/v1/records")

    assert answer.status_code == 409
    assert answer.json()["type"].endswith("/consent-changed")
    assert connected.get("/v1/grant").json()["usable"] is False


@pytest.mark.tampers
def test_a_collection_key_from_elsewhere_does_not_open_under_a_grant(world, connected):
    """TAK-12, TAK-21: the owner's wrap of another collection, put where the grant's would be."""
    grant_id = _grant_id(world, connected)
    (owners,) = rows(world, KeyWrap, KeyWrap.by_kind == "vrk", KeyWrap.wrapped_id == "identity")
    write(
        world,
        KeyWrap,
        KeyWrap.by_id == grant_id,
        wrapped_id="identity",
        blob=owners.blob,
    )

    assert refuses(connected)


def test_wraps_of_two_tokens_that_change_places_open_nothing(world, aysel, connected):
    """TAK-21, P-12."""
    bank = world.organisation("Bank")
    other = world.connect(aysel, bank, bank.publish(required=["identity.national_id"]))
    mine, theirs = (_token_row(world, one.access_token) for one in (connected, other))
    (my_wrap,) = rows(world, KeyWrap, KeyWrap.by_id == mine.selector)
    (their_wrap,) = rows(world, KeyWrap, KeyWrap.by_id == theirs.selector)
    write(world, KeyWrap, KeyWrap.by_id == mine.selector, blob=their_wrap.blob)
    write(world, KeyWrap, KeyWrap.by_id == theirs.selector, blob=my_wrap.blob)

    assert refuses(connected)
    assert refuses(other)


@pytest.mark.tampers
def test_a_token_that_points_at_another_grant_opens_nothing(world, aysel, connected):
    """P-12: the wrap names its grant."""
    bank = world.organisation("Bank")
    other = world.connect(aysel, bank, bank.publish(required=["identity.national_id"]))
    write(
        world,
        Token,
        Token.selector == parse(connected.access_token, "at").selector,
        grant_id=_grant_id(world, other),
    )

    assert refuses(connected)


def test_a_token_moved_to_another_proof_key_opens_nothing(world, connected):
    """P-12: the wrap binds `jkt`, so a thief of token and database needs the proof key too."""
    thief = new_key()
    selector = parse(connected.access_token, "at").selector
    write(world, Token, Token.selector == selector, jkt=thief.thumbprint())
    client = connected.organisation.client
    url = world.url("/v1/records")
    proof = client.proof("GET", url, key=thief, access_token=connected.access_token)

    assert refuses(connected, proof=proof)


def test_a_token_whose_end_was_moved_opens_nothing(world, clock, connected):
    """P-12: the wrap binds the expiry."""
    selector = parse(connected.access_token, "at").selector
    clock.move(minutes=11)
    assert connected.get("/v1/records").status_code == 401
    write(world, Token, Token.selector == selector, expires_at=clock.now() + timedelta(minutes=5))

    assert refuses(connected)


def test_a_verifier_of_ones_own_lets_in_and_opens_nothing(world, connected):
    """TAK-28: the database keeps verifiers; a writer can replace one, and lacks the key."""
    forged = mint("at", parse(connected.access_token, "at").selector)
    write(world, Token, Token.selector == forged.selector, verifier=forged.verifier())

    answer = connected.organisation.get("/v1/records", forged.text())

    assert answer.status_code >= 400
    assert "records" not in answer.json()


def test_boxes_of_two_records_that_change_places_open_nothing(world, aysel, connected):
    """TAK-22."""
    first, second = rows(world, Record, Record.collection == "contact")
    write(world, Record, Record.id == first.id, box=second.box)
    write(world, Record, Record.id == second.id, box=first.box)

    assert refuses(connected)
    with pytest.raises(DecryptionError):
        aysel.records.get(first.id)


def test_an_older_box_in_a_newer_row_opens_nothing(world, aysel, connected):
    """TAK-22: the version is bound, so content cannot be rolled back into a newer slot."""
    (row,) = [one for one in rows(world, Record) if one.collection == "identity"]
    aysel.records.save(Draft("identity", {"national_id": "AZE87654321"}, row.id, 1))
    write(world, Record, Record.id == row.id, box=row.box)

    with pytest.raises(DecryptionError):
        aysel.records.get(row.id)
    assert values(page(connected), "email") == ["a@example.com"]


@pytest.mark.parametrize(
    "values_",
    [
        {"collection": "contact"},
        {"deleted": True},
        {"author_kind": "organisation"},
        {"key_version": 2},
    ],
    ids=lambda values_: next(iter(values_)),
)
def test_a_record_row_that_says_something_else_opens_nothing(world, aysel, connected, values_):
    """TAK-22: each column that matters is bound to the box."""
    (row,) = [one for one in rows(world, Record) if one.collection == "identity"]
    write(world, Record, Record.id == row.id, **values_)

    answer = connected.get("/v1/records")
    assert CANARY not in answer.text
    with pytest.raises(Exception, match=r"^(?!.*AZE).*$"):
        aysel.records.get(row.id)


def test_a_record_moved_to_another_vault_opens_for_nobody(world, aysel):
    """TAK-22: the vault is bound."""
    leyla = world.person("leyla")
    (row,) = [one for one in rows(world, Record) if one.collection == "identity"]
    write(
        world,
        Record,
        Record.id == row.id,
        vault_id=leyla.vault_id,
        bucket=leyla.visitor.vault.bucket,
    )

    with pytest.raises(DecryptionError):
        leyla.records.get(row.id)
    assert [one.data for one in aysel.records.all(["identity"])] == []


def test_a_superseded_version_opens_only_as_itself(world, aysel):
    """P-21: history is bound to record and version."""
    record = aysel.save("interests", topic="chess")
    record = aysel.records.save(Draft("interests", {"topic": "go"}, record.id, 1))
    record = aysel.records.save(Draft("interests", {"topic": "shogi"}, record.id, 2))
    first, _ = rows(world, RecordVersion)
    write(world, RecordVersion, RecordVersion.version == 2, box=first.box)

    with pytest.raises(DecryptionError):
        aysel.records.history(record.id)


def test_putting_back_an_old_sequence_number_hides_and_never_widens(world, aysel, connected):
    """A plain row can only narrow: what is told again is what was agreed."""
    mirror = Mirror(connected)
    mirror.catch_up()
    write(world, Record, seq=1)

    assert mirror.catch_up() == []
    assert values(page(connected), "email") == ["a@example.com"]
    assert aysel.records.counts()["contact"] == 2


def _grant_id(world, connected):
    (row,) = [one for one in rows(world, Grant) if str(one.id) == connected.body["grant_id"]]
    return row.id


def _token_row(world, text):
    (row,) = rows(world, Token, Token.selector == parse(text, "at").selector)
    return row
