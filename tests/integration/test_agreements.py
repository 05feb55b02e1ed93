"""Decisions and ends (P-27 to P-30, CM-5 to CM-11, TAK-41, TAK-42)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import select, update

from api.oauth.authorization import AuthorizationPageError
from api.oauth.models import Token
from consent import connections, organisations
from consent.choices import Choice
from consent.errors import LogStalledError, NoticeChangedError
from consent.formats import canonical, jws
from consent.models import (
    Agreement,
    AgreementVersion,
    Connection,
    ConsentEvent,
    Event,
    Grant,
    Obligation,
    Organisation,
    Receipt,
    Request,
)
from consent.vocabulary import Standing
from pds.errors import ConflictError, NotFoundError, ValidationFailedError, VaultLockedError
from pds.models import KeyWrap, VaultKey
from tests.support.oauth_client import Callback
from tests.support.reading import page
from tests.support.world import wording

EMAIL, NAME = "contact.email", "profile.given_name"


@pytest.fixture
def aysel(world):
    return world.person()


@pytest.fixture
def shop(world):
    return world.organisation()


@pytest.fixture
def template(shop):
    return shop.publish(required=[EMAIL], optional=[NAME, "contact.phone"])


@pytest.fixture
def opened(world, aysel, shop, template):
    """Return a pushed request that its person has before them."""
    request_uri, _ = world.push(shop, shop.details(template))
    return world.open_request(aysel, shop, request_uri)


def test_while_the_log_stands_still_no_new_consent_is_taken(world, clock, aysel, opened):
    """LOG-21: a consent that nobody can prove later is not taken; nothing is decided."""
    patient = world.services.agreements.log_may_wait
    object.__setattr__(world.services.agreements, "log_may_wait", timedelta(minutes=10))
    clock.move(minutes=11)

    with pytest.raises(LogStalledError):
        world.allow(aysel, opened)

    object.__setattr__(world.services.agreements, "log_may_wait", patient)
    assert world.allow(aysel, opened)["code"]


def rows(world, model, *where):
    with world.services.uow.read() as session:
        return session.scalars(select(model).where(*where)).all()


def names(world, stream):
    """Return the event names of the streams that begin so, in order."""
    found = [event for event in rows(world, Event) if event.stream.startswith(stream)]
    return [event.name for event in sorted(found, key=lambda one: (one.stream, one.seq))]


def decide(world, aysel, opened, **choice):
    pending, request, shown = opened
    chosen = replace(Choice(shown, "en", frozenset(), "P30D"), **choice)
    with world.app.test_request_context():
        return world.services.authorization.allow(pending, aysel.visitor, request, chosen)


def test_allowing_makes_one_of_each_of_the_four_objects(world, aysel, opened):
    """D8, CM-2: request, agreement, consent and grant each have their own state."""
    world.allow(aysel, opened, optional=[NAME, "contact.phone"])

    (request,), (agreement,), (grant,), (event,) = (
        rows(world, model) for model in (Request, Agreement, Grant, ConsentEvent)
    )
    assert (request.state, agreement.state, grant.state, event.status) == (
        "approved",
        "active",
        "active",
        "dpv:ConsentGiven",
    )
    assert (event.stream, event.stream_seq) == (f"g.{grant.id.hex}", 1)


def test_the_vault_signs_what_was_agreed(world, aysel, opened):
    """P-14, P-27."""
    world.allow(aysel, opened, optional=[NAME])

    (version,) = rows(world, AgreementVersion)
    (key,) = rows(world, VaultKey, VaultKey.purpose == "agreement")
    document = canonical.parse(version.document)
    kid = f"vault-{canonical.sha256_hex(key.public_key.hex())[:16]}"
    signed = document | {"proof": {"jws": version.signature}}
    assert jws.verify(signed, {kid: key.public_key}, typ="pds-agreement") == document
    assert version.sha256 == canonical.sha256_hex(document)
    assert document["attributes"] == [EMAIL, NAME]
    assert document["denied"] == ["contact.phone"]
    assert document["notice_sha256"] == opened[2]


def test_allowing_a_part_is_said_to_be_narrowed(world, aysel, opened):
    world.allow(aysel, opened, optional=[NAME])

    (request,) = rows(world, Request)
    assert request.state == "approved_narrowed"


def test_a_shorter_duration_is_a_narrowing_and_ends_earlier(world, clock, aysel, opened):
    decided_at = clock.instant
    world.allow(aysel, opened, optional=[NAME, "contact.phone"], duration="P7D")

    (request,), (agreement,) = rows(world, Request), rows(world, Agreement)
    assert request.state == "approved_narrowed"
    assert agreement.expires_at - decided_at < timedelta(days=7, seconds=1)


@pytest.mark.parametrize(
    "choice",
    [
        {"optional": frozenset({"identity.national_id"})},
        {"optional": frozenset({EMAIL})},
        {"duration": "P90D"},
        {"duration": "P31D"},
        {"duration": ""},
        {"duration": "forever"},
    ],
    ids=["not asked", "required as optional", "longer", "not offered", "none", "malformed"],
)
def test_a_choice_outside_what_was_offered_is_refused(world, aysel, opened, choice):
    """P-27: granted is a subset of asked, whatever the form says."""
    with pytest.raises(ValidationFailedError):
        decide(world, aysel, opened, **choice)

    assert rows(world, Agreement) == []
    assert rows(world, Request)[0].state == "seen"


def test_a_request_of_optional_items_alone_needs_one_of_them(world, aysel, shop):
    template = shop.publish(optional=[EMAIL])
    request_uri, _ = world.push(shop, shop.details(template))
    opened = world.open_request(aysel, shop, request_uri)

    with pytest.raises(ValidationFailedError):
        decide(world, aysel, opened)

    decide(world, aysel, opened, optional=frozenset({EMAIL}))


def test_what_was_not_shown_is_not_decided(world, aysel, opened):
    """P-28: the form carries the hash of the notice."""
    with pytest.raises(NoticeChangedError):
        decide(world, aysel, opened, notice_sha256="0" * 64)
    with pytest.raises(NoticeChangedError):
        decide(world, aysel, opened, locale="az")

    assert rows(world, Agreement) == []


def test_an_organisation_that_changed_its_name_meanwhile_is_shown_again(world, aysel, shop, opened):
    """P-28: and after that the decision holds."""
    world.services.uow.write(
        lambda session: session.execute(
            update(Organisation).where(Organisation.id == shop.id).values(name_en="Somebody else")
        )
    )

    with pytest.raises(NoticeChangedError):
        world.allow(aysel, opened)
    with pytest.raises(NoticeChangedError):
        world.refuse(aysel, opened)

    assert rows(world, Request)[0].state == "seen"


def test_an_organisation_suspended_meanwhile_gets_nothing(world, aysel, shop, opened):
    """P-28, P-30."""
    suspend(world, shop)

    with pytest.raises((NoticeChangedError, ConflictError)):
        world.allow(aysel, opened)

    assert rows(world, Agreement) == []


def test_a_template_replaced_meanwhile_is_not_agreed_to(world, aysel, shop, template, opened):
    """P-28: the template is checked again in the transaction of the decision."""
    shop.publish(
        required=[EMAIL], id=str(template.id), version=2, purpose_text=wording("For your card.")
    )

    with pytest.raises((NoticeChangedError, ConflictError)):
        world.allow(aysel, opened)

    assert rows(world, Agreement) == []


def test_an_agreement_made_after_the_vault_was_opened_is_shown_and_not_stumbled_over(
    world, aysel, shop, template, opened
):
    """P-28: the keys of this request were read before another tab agreed."""
    visitor = aysel.visitor
    world.connect(aysel, shop, template)

    with pytest.raises(NoticeChangedError):
        world.allow(aysel, opened, visitor=visitor)


def test_a_request_is_decided_once(world, aysel, opened):
    """DEC-5."""
    world.allow(aysel, opened)

    with pytest.raises(ConflictError):
        world.allow(aysel, opened)
    with pytest.raises(ConflictError):
        world.refuse(aysel, opened)

    assert len(rows(world, Agreement)) == 1


def test_of_many_tabs_that_decide_at_once_one_wins(world, aysel, opened):
    """SEC-S74."""

    def one(number):
        try:
            if number % 2:
                return "allowed" if world.allow(aysel, opened) else ""
            return "refused" if world.refuse(aysel, opened) else ""
        except ConflictError:
            return "late"

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(one, range(8)))

    assert outcomes.count("late") == 7
    assert len(rows(world, Agreement)) == outcomes.count("allowed")
    assert len(rows(world, Receipt)) == 1


def test_a_request_opened_in_one_session_cannot_be_opened_in_another(world, aysel, shop, template):
    """THR-7."""
    request_uri, _ = world.push(shop, shop.details(template))
    world.open_request(aysel, shop, request_uri)
    leyla = world.person("leyla")

    with pytest.raises(AuthorizationPageError) as refused:
        world.open_request(leyla, shop, request_uri)

    assert refused.value.code == "opened_elsewhere"


def test_opening_a_request_twice_is_one_request_and_one_entry(world, aysel, shop, template):
    request_uri, _ = world.push(shop, shop.details(template))
    first = world.open_request(aysel, shop, request_uri)

    second = world.open_request(aysel, shop, request_uri)

    assert first[1].id == second[1].id
    assert names(world, "v.").count("consent.shown") == 1


def test_a_locked_vault_cannot_allow_and_can_refuse(world, aysel, opened):
    """TAK-38; refusing takes no key."""
    aysel.unlocked = None

    with pytest.raises(VaultLockedError):
        world.allow(aysel, opened)

    assert world.refuse(aysel, opened)["error"] == "access_denied"


def test_a_refusal_has_a_receipt_and_rests_for_thirty_days(world, clock, aysel, opened):
    """CM-5, CUX-16."""
    world.refuse(aysel, opened)

    (receipt,) = rows(world, Receipt)
    (request,) = rows(world, Request)
    assert (receipt.kind, receipt.agreement_id) == ("refused", None)
    assert request.cools_until - clock.instant > timedelta(days=29)
    vault, ask = aysel.visitor.vault, opened[0].ask
    assert world.services.agreements.cooling(vault, ask) == request.cools_until
    clock.move(days=31)
    assert world.services.agreements.cooling(vault, ask) is None
    assert rows(world, Grant) == []


def test_withdrawal_ends_agreement_grant_and_tokens_in_one_act(world, aysel, shop, template):
    """CM-9, TAK-41: no key is needed, and no read is answered after it."""
    aysel.save("contact", email="a@example.com")
    connected = world.connect(aysel, shop, template)
    aysel.unlocked = None

    connected.withdraw(request_deletion=True)

    answer = connected.get("/v1/records")
    assert (answer.status_code, answer.json()["type"].rpartition("/")[2]) == (
        403,
        "consent-withdrawn",
    )
    assert shop.client.refresh(connected.refresh_token).json()["error"] == "invalid_grant"
    (agreement,), (grant,) = (rows(world, model) for model in (Agreement, Grant))
    assert (agreement.state, agreement.ended_by, grant.state) == (
        "withdrawn",
        "individual",
        "revoked",
    )
    owed = sorted(rows(world, Obligation), key=lambda each: each.due_at)
    assert [(one.kind, one.state, one.asked_by_person) for one in owed] == [
        ("stop", "due", True),
        ("delete", "due", True),
    ]
    assert [one.due_at - agreement.ended_at for one in owed] == [
        timedelta(days=3),
        timedelta(days=30),
    ]


def test_withdrawing_twice_is_withdrawing_once(world, aysel, shop, template):
    connected = world.connect(aysel, shop, template)
    connected.withdraw()
    connected.withdraw()

    assert names(world, "g.").count("consent.withdrawn") == 1
    assert len(rows(world, Obligation)) == 2
    assert len(rows(world, Receipt)) == 2


def test_many_withdrawals_at_once_are_one(world, aysel, shop, template):
    connected = world.connect(aysel, shop, template)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: connected.withdraw(), range(8)))

    assert names(world, "g.").count("consent.withdrawn") == 1
    assert len(rows(world, Receipt)) == 2


def test_nobody_ends_anothers_agreement(world, aysel, shop, template):
    """SEC-S23: one's own vault, an id of another: as if it were not there."""
    connected = world.connect(aysel, shop, template)
    leyla = world.person("leyla")
    endings, vault = world.services.endings, leyla.visitor.vault

    with pytest.raises(NotFoundError):
        endings.withdraw(vault, connected.agreement_id, request_deletion=True)
    with pytest.raises(NotFoundError):
        endings.withdraw(vault, uuid4(), request_deletion=True)

    assert rows(world, Agreement)[0].state == "active"


def test_an_agreement_expires_to_the_second_and_its_end_is_recorded(
    world, clock, aysel, shop, template
):
    """CM-9, VOC-18: refused from the instant on, recorded by the worker."""
    aysel.save("contact", email="a@example.com")
    connected = world.connect(aysel, shop, template, duration="P1D")
    (agreement,) = rows(world, Agreement)
    clock.instant = agreement.expires_at - timedelta(seconds=2)
    token = shop.client.refresh(connected.refresh_token).json()["access_token"]
    assert shop.get("/v1/records", token).status_code == 200
    clock.instant = agreement.expires_at

    answer = shop.get("/v1/records", token)
    assert answer.json()["type"].endswith("/consent-expired")
    services = world.services
    for _ in range(2):
        services.uow.write(lambda s: services.endings.end_due(s, now=services.clock.now()))

    (agreement,), (grant,) = rows(world, Agreement), rows(world, Grant)
    assert (agreement.state, agreement.ended_by, grant.state) == ("expired", "clock", "expired")
    assert names(world, "g.").count("consent.expired") == 1
    assert [one.kind for one in rows(world, Receipt)] == ["given", "expired"]
    assert rows(world, KeyWrap, KeyWrap.by_kind.in_(["grant", "token"])) == []


def test_an_agreement_past_its_end_is_shown_as_expired_before_the_worker_runs(
    world, clock, aysel, shop, template
):
    world.connect(aysel, shop, template, duration="P1D")
    vault = aysel.visitor.vault
    clock.move(days=2)

    with world.services.uow.read() as session:
        (view,) = connections.of_vault(session, vault.bucket, vault.id, now=clock.now())

    assert view.state == "expired"
    assert not view.is_current


def test_consent_after_withdrawal_is_a_new_agreement_and_old_tokens_stay_dead(
    world, aysel, shop, template
):
    """CM-6, CM-10, CM-11."""
    first = world.connect(aysel, shop, template)
    first.withdraw()

    second = world.connect(aysel, shop, template)

    assert second.get("/v1/records").status_code == 200
    assert first.get("/v1/records").status_code == 403
    assert shop.client.refresh(first.refresh_token).status_code == 400


def test_every_stream_is_numbered_without_a_gap(world, aysel, shop, template):
    """P-31."""
    connected = world.connect(aysel, shop, template)
    page(connected)
    connected.withdraw()
    connected.get("/v1/records")
    aysel.sign_in()

    streams = {}
    for event in rows(world, Event):
        streams.setdefault(event.stream, []).append(event.seq)
    assert all(sorted(found) == list(range(1, len(found) + 1)) for found in streams.values())
    assert names(world, "g.") == [
        "consent.given",
        "token.issued",
        "data.read",
        "consent.withdrawn",
        "erasure.requested",
        "data.read_denied",
    ]


def test_the_code_is_the_only_secret_in_the_redirect(world, aysel, shop, opened):
    """SEC-S54, SEC-S38, BCP-B15: and nothing of the form goes along."""
    location = decide(world, aysel, opened)

    back = Callback.of(location)
    assert set(back.parameters) == {"code", "state", "iss"}
    assert back["iss"] == world.issuer
    assert location.startswith(shop.client.redirect_uri + "?")


def test_no_decision_leaves_half_of_itself(world, aysel, opened, monkeypatch):
    """REL-R1's rule on one decision: old or new state, never between."""
    service = type(world.services.receipts)

    def fails(*_args, **_kwargs):
        raise RuntimeError("the disk is full")

    monkeypatch.setattr(service, "issue", fails)
    with pytest.raises(RuntimeError, match="disk is full"):
        world.allow(aysel, opened)
    monkeypatch.undo()

    for model in (Agreement, Grant, ConsentEvent, Connection, Token):
        assert rows(world, model) == []
    assert rows(world, Request)[0].state == "seen"
    assert world.allow(aysel, opened)["code"]


def suspend(world, organisation, standing=Standing.SUSPENDED):
    world.services.uow.write(
        lambda session: organisations.set_standing(session, organisation.id, standing)
    )
