"""Amending, renewing and narrowing an agreement in force (P-6, P-13, P-28, P-29; ADR 0021)."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from api.oauth import sweeping
from consent import amendments
from consent.choices import Choice
from consent.errors import NoticeChangedError
from consent.formats import canonical, jws
from consent.formats import receipt as receipts
from consent.log import feed
from consent.models import (
    Agreement,
    AgreementVersion,
    Connection,
    ConsentEvent,
    Event,
    FeedEntry,
    Grant,
    Obligation,
    Receipt,
    Request,
)
from consent.narrowing import Reduction
from pds import sweeping as vault_sweeping
from pds.errors import ConflictError, DecryptionError, NotFoundError, ValidationFailedError
from pds.models import CollectionKey, KeyWrap, VaultKey
from tests.support.attacker import Attacker, copy_tables
from tests.support.reading import page, values

EMAIL, NAME, PHONE = "contact.email", "profile.given_name", "contact.phone"


@pytest.fixture
def aysel(world):
    person = world.person()
    person.save("contact", email="a@example.com", phone="+994501112233")
    person.save("profile", given_name="Aysel")
    return person


@pytest.fixture
def shop(world):
    return world.organisation()


@pytest.fixture
def template(shop):
    return shop.publish(required=[EMAIL], optional=[NAME, PHONE])


@pytest.fixture
def narrow(world, aysel, shop, template):
    """An agreement about the required item alone."""
    return world.connect(aysel, shop, template)


@pytest.fixture
def wide(world, aysel, shop, template):
    """An agreement about everything."""
    return world.connect(aysel, shop, template, optional=[NAME, PHONE])


def rows(world, model, *where):
    with world.services.uow.read() as session:
        return session.scalars(select(model).where(*where)).all()


def one(world, model):
    (found,) = rows(world, model)
    return found


def opened(world, connected, *, organisation=None, **ask):
    """Return a further request that the person of an agreement has before them."""
    organisation = organisation or connected.organisation
    uri, verifier = world.push(organisation, organisation.details(connected.template, **ask))
    return world.open_request(connected.person, organisation, uri), verifier


def course(world):
    """Return the consent events of the one agreement: act, status, version, actor."""
    found = sorted(rows(world, ConsentEvent), key=lambda each: each.seq)
    return [(each.act, each.status, each.agreement_version, each.actor) for each in found]


def logged(world):
    found = [event for event in rows(world, Event) if event.stream.startswith("g.")]
    return [event.name for event in sorted(found, key=lambda each: (each.at, each.seq))]


def held(world):
    """Return what grant keys wrap."""
    return {
        (wrap.wrapped_id, wrap.wrapped_version)
        for wrap in rows(world, KeyWrap, KeyWrap.by_kind == "grant")
    }


def told(world):
    world.services.uow.write(feed.number_feed)
    return [each.event for each in sorted(rows(world, FeedEntry), key=lambda each: each.number)]


def reduce(world, connected, *, optional=(NAME, PHONE), person=None, **choice):
    person = person or connected.person
    shown = rows(world, AgreementVersion)
    reduction = Reduction(
        max(shown, key=lambda each: each.version).sha256, frozenset(optional), **choice
    )
    visitor = person.visitor
    world.services.narrowing.narrow(
        visitor.vault, visitor.open_vault, connected.agreement_id, reduction
    )


def attacker(world):
    return Attacker(copy_tables(world.services.uow), world.services.keys.deployment)


def fresh_token(connected):
    answer = connected.organisation.client.refresh(connected.refresh_token)
    assert answer.status_code == 200, answer.text
    return answer.json()["access_token"]


def test_a_second_approval_is_the_next_version_of_the_same_agreement(world, aysel, shop, narrow):
    """P-29, P-13, P-27: same agreement, grant and grant key; text signed anew, old one kept."""
    key = aysel.visitor.open_vault.key("grant", narrow.body["grant_id"], 1)
    before = one(world, Grant)

    second = world.connect(aysel, shop, narrow.template, optional=[NAME])

    agreement, grant = one(world, Agreement), one(world, Grant)
    assert second.body["grant_id"] == narrow.body["grant_id"]
    assert (agreement.id, agreement.version, agreement.state) == (narrow.agreement_id, 2, "active")
    assert one(world, Connection).agreement_id == agreement.id
    assert aysel.visitor.open_vault.key("grant", str(grant.id), 1) == key
    assert grant.agreement_version == 2
    assert grant.epoch > before.epoch  # P-8
    assert agreement.expires_at == grant.expires_at
    first, last = sorted(rows(world, AgreementVersion), key=lambda each: each.version)
    (signer,) = rows(world, VaultKey, VaultKey.purpose == "agreement")
    for version, attributes in ((first, [EMAIL]), (last, [EMAIL, NAME])):
        document = canonical.parse(version.document)
        kid = f"vault-{canonical.sha256_hex(signer.public_key.hex())[:16]}"
        signed = document | {"proof": {"jws": version.signature}}
        assert jws.verify(signed, {kid: signer.public_key}, typ="pds-agreement") == document
        assert (document["version"], document["attributes"]) == (version.version, attributes)
    assert agreement.request_id == rows(world, Request, Request.state == "approved_narrowed")[-1].id
    assert rows(world, Obligation) == []


def test_an_amendment_leaves_events_receipts_and_news_of_a_change(world, aysel, shop, narrow):
    """CM-12, CM-15, P-24: act, log entry, receipt and feed, in the words of a change."""
    second = world.connect(aysel, shop, narrow.template, optional=[NAME, PHONE])

    assert course(world) == [
        ("allow_part", "dpv:ConsentGiven", 1, "individual"),
        ("amend", "dpv:ConsentGiven", 2, "individual"),
    ]
    assert logged(world) == ["consent.given", "token.issued", "consent.changed", "token.issued"]
    assert told(world) == ["consent.granted", "consent.changed"]
    given, changed = sorted(rows(world, Receipt), key=lambda each: each.created_at)
    assert (given.kind, changed.kind) == ("given", "changed")
    issuer = world.services.receipts
    document = json.loads(changed.document)
    receipts.verify(document, {issuer.kid: issuer.key.public_key().public_bytes_raw()})
    (record,) = document["dpv:hasRecordOfActivity"]
    assert [each["@type"][0] for each in record["dpv:hasConsentStatus"]] == 2 * ["dpv:ConsentGiven"]
    assert record["agreement"]["version"] == 2
    assert record["agreement"]["contract_status"] == "dpv:ContractAmended"
    assert (
        record["dpv:hasNotice"]["sha256"]
        != json.loads(given.document)["dpv:hasRecordOfActivity"][0]["dpv:hasNotice"]["sha256"]
    )

    second.withdraw()  # and the end's receipt tells the whole course

    ended = max(rows(world, Receipt), key=lambda each: each.created_at)
    (record,) = json.loads(ended.document)["dpv:hasRecordOfActivity"]
    assert len(record["dpv:hasConsentStatus"]) == 3


def test_widening_leaves_every_token_alive_and_opens_what_was_added(world, aysel, shop, narrow):
    """P-13: wraps are added, of all versions of the collection's key; nothing else."""
    bank = world.organisation("Bank")
    world.connect(aysel, bank, bank.publish(required=[NAME])).withdraw()
    aysel.sign_in()  # rotates the key of `profile`
    assert values(page(narrow), "given_name") == []

    world.connect(aysel, shop, narrow.template, optional=[NAME])

    assert held(world) == {("contact", 1), ("profile", 1), ("profile", 2)}
    assert values(page(narrow), "given_name") == ["Aysel"]
    assert "phone" not in str(page(narrow)["records"])
    assert fresh_token(narrow)


def test_old_terms_hold_until_the_new_ones_are_accepted(world, aysel, narrow):
    """P-13, CM-5: what is asked changes nothing, and a refusal keeps the version in force."""
    request, _ = opened(world, narrow, attributes=[EMAIL], optional=[NAME])
    assert values(page(narrow), "given_name") == []

    world.refuse(aysel, request)

    assert one(world, Agreement).version == 1
    assert values(page(narrow), "email") == ["a@example.com"]
    vault, ask = aysel.visitor.vault, request[0].ask
    assert world.services.agreements.cooling(vault, ask)
    assert course(world) == [("allow_part", "dpv:ConsentGiven", 1, "individual")]


def test_the_new_version_is_what_every_answer_names(world, aysel, shop, narrow):
    """P-29: `/v1/grant`, `/v1/connections`, introspection and the manifest."""
    cursor = page(narrow)["next_cursor"]
    second = world.connect(aysel, shop, narrow.template, optional=[NAME])

    grant = narrow.get("/v1/grant").json()
    assert grant["agreement"]["version"] == 2
    assert grant["attributes"] == [EMAIL, NAME]
    (listed,) = shop.get("/v1/connections", shop.organisation_token()).json()["connections"]
    assert (listed["agreement"]["version"], listed["grant_id"]) == (2, narrow.body["grant_id"])
    (details,) = shop.client.introspect(narrow.access_token).json()["authorization_details"]
    assert details["agreement_version"] == 2
    body = page(second)
    assert body["agreement"] == {"id": str(narrow.agreement_id), "version": 2}
    assert body["manifest"]["agreed"] == [EMAIL, NAME]
    # P-23: a cursor belongs to the version that it came with.
    assert narrow.get("/v1/records", params={"cursor": cursor}).status_code == 410


def test_narrowing_takes_access_tokens_and_the_keys_of_what_is_dropped(world, aysel, shop, wide):
    """P-13, TAK-43: neither a token nor a copy of the database made since opens the collection."""
    old = wide.access_token
    assert values(page(wide), "given_name") == ["Aysel"]

    world.connect(aysel, shop, wide.template, optional=[PHONE])

    assert shop.get("/v1/records", old).status_code == 401
    assert held(world) == {("contact", 1)}
    token = fresh_token(wide)
    body = shop.get("/v1/records", token).json()
    assert values(body, "given_name") == []
    assert {"attribute": NAME, "reason": "not_agreed"} in body["manifest"]["withheld"]
    thief = attacker(world)
    assert thief.with_token(old) == []
    assert [set(each) for each in thief.with_token(token)] == [{"email", "phone"}]
    assert [set(each) for each in thief.with_token(wide.refresh_token)] == [{"email", "phone"}]
    due = rows(world, CollectionKey, CollectionKey.rotation_due)
    assert [each.collection for each in due] == ["profile"]
    aysel.sign_in()
    assert held(world) == {("contact", 1)}


@pytest.mark.parametrize("paused", [False, True], ids=["active", "paused"])
def test_the_same_terms_for_longer_are_a_renewal(world, clock, shop, wide, paused):
    """DPV RenewedConsentGiven; the refresh token goes on past the old end, and no pause ends."""
    aysel, pauses = wide.person, world.services.pauses
    vault = aysel.visitor.vault
    if paused:
        pauses.pause(vault, wide.agreement_id)
    clock.move(days=20)
    aysel.sign_in()

    world.connect(aysel, shop, wide.template, optional=[NAME, PHONE])

    agreement, grant = one(world, Agreement), one(world, Grant)
    reached = "dpv:ConsentStatusInvalidForProcessing" if paused else "dpv:RenewedConsentGiven"
    assert course(world)[-1] == ("renew", reached, 2, "individual")
    assert "consent.renewed" in logged(world)
    assert told(world)[-1] == "consent.changed"
    latest = max(rows(world, Receipt), key=lambda each: each.created_at)
    (record,) = json.loads(latest.document)["dpv:hasRecordOfActivity"]
    assert latest.kind == "renewed"
    assert record["dpv:hasConsentStatus"][-1]["@type"][0] == reached
    assert record["agreement"]["contract_status"] == "dpv:ContractRenewed"
    assert (agreement.state, grant.state) == (
        ("suspended", "paused") if paused else ("active", "active")
    )
    clock.move(days=20)  # past the first end
    for sweep in (sweeping.sweep, vault_sweeping.sweep):
        world.services.uow.write(lambda s, sweep=sweep: sweep(s, now=clock.now()))
    answer = shop.get("/v1/records", fresh_token(wide))
    if paused:
        assert answer.json()["type"].endswith("/consent-paused")
        pauses.resume(vault, wide.agreement_id)
        answer = shop.get("/v1/records", fresh_token(wide))
    assert answer.status_code == 200


def test_less_time_for_the_same_is_a_change_and_no_renewal(world, aysel, shop, wide):
    world.connect(aysel, shop, wide.template, optional=[NAME, PHONE], duration="P7D")

    assert course(world)[-1][:2] == ("amend", "dpv:ConsentGiven")
    assert wide.get("/v1/records").status_code == 401  # a narrowing: access tokens ended


def test_another_program_of_the_organisation_gets_an_agreement_of_its_own(
    world, aysel, shop, narrow
):
    """P-12, P-29, CM-11: wraps are bound to their client, so it takes the other's place."""
    second = world.connect(aysel, shop.another_client(), narrow.template, optional=[NAME])

    old, new = sorted(rows(world, Agreement), key=lambda each: each.created_at)
    assert (old.state, new.state, new.supersedes) == ("terminated", "active", old.id)
    assert (old.version, new.version) == (1, 1)
    assert second.body["grant_id"] != narrow.body["grant_id"]
    assert narrow.get("/v1/records").status_code == 403
    assert shop.client.refresh(narrow.refresh_token).status_code == 400
    assert values(page(second), "email") == ["a@example.com"]
    assert rows(world, Obligation) == []


def test_what_ended_while_the_page_was_open_is_shown_again_and_not_revived(
    world, clock, aysel, shop, narrow
):
    """P-6, P-28, CM-6: withdrawn or expired meanwhile."""
    request, _ = opened(world, narrow)
    narrow.withdraw()

    with pytest.raises(NoticeChangedError):
        world.allow(aysel, request, optional=[NAME])

    assert one(world, Agreement).state == "withdrawn"
    assert rows(world, KeyWrap, KeyWrap.by_kind.in_(["grant", "token"])) == []
    second = world.connect(aysel, shop, narrow.template, duration="P1D")
    assert second.agreement_id != narrow.agreement_id
    request, _ = opened(world, second)
    clock.move(days=1)
    aysel.sign_in()
    with pytest.raises(NoticeChangedError):
        world.allow(aysel, request)
    assert max(row.version for row in rows(world, Agreement)) == 1


def test_withdrawing_after_an_amendment_ends_what_was_added_too(world, aysel, shop, narrow):
    """P-6, the other order."""
    second = world.connect(aysel, shop, narrow.template, optional=[NAME])
    second.withdraw()

    assert [narrow.get("/v1/records").status_code, second.get("/v1/records").status_code] == [
        403,
        403,
    ]
    assert rows(world, KeyWrap, KeyWrap.by_kind.in_(["grant", "token"])) == []
    due = {each.collection for each in rows(world, CollectionKey, CollectionKey.rotation_due)}
    assert due == {"contact", "profile"}


def test_amending_and_withdrawing_at_once_revives_nothing(world, aysel, narrow):
    """P-6, P-7: whichever comes first, the agreement has ended and holds no key."""
    visitor = aysel.visitor
    requests = [opened(world, narrow)[0] for _ in range(3)]

    def amend(request):
        try:
            return bool(world.allow(aysel, request, optional=[NAME], visitor=visitor))
        except (NoticeChangedError, ConflictError):
            return False

    def withdraw():
        endings = world.services.endings
        endings.withdraw(visitor.vault, narrow.agreement_id, request_deletion=False)

    with ThreadPoolExecutor(4) as pool:
        amended = [pool.submit(amend, requests[0]), pool.submit(amend, requests[1])]
        ended = pool.submit(withdraw)
        amended.append(pool.submit(amend, requests[2]))
        ended.result()
        outcomes = [each.result() for each in amended]

    agreement = one(world, Agreement)
    assert outcomes.count(True) <= 1
    assert (agreement.state, agreement.version) == ("withdrawn", 1 + outcomes.count(True))
    assert rows(world, KeyWrap, KeyWrap.by_kind.in_(["grant", "token"])) == []
    assert narrow.get("/v1/records").status_code == 403


def test_of_two_tabs_one_amends_and_the_other_is_shown_the_new_state(world, aysel, narrow):
    """SEC-S74, P-28: each decides on the version that its page showed."""
    first, _ = opened(world, narrow)
    second, _ = opened(world, narrow)
    world.allow(aysel, first, optional=[NAME])

    with pytest.raises(NoticeChangedError):
        world.allow(aysel, second, optional=[PHONE])
    with pytest.raises(NoticeChangedError):
        world.refuse(aysel, second)

    assert one(world, Agreement).version == 2


def test_of_two_first_requests_one_makes_the_agreement(world, aysel, shop, template):
    """P-29: the other's page did not say that it would change one in force."""
    uris = [world.push(shop, shop.details(template))[0] for _ in range(2)]
    first, second = (world.open_request(aysel, shop, uri) for uri in uris)
    world.allow(aysel, first)

    with pytest.raises(NoticeChangedError):
        world.allow(aysel, second, optional=[NAME])

    assert one(world, Agreement).version == 1


def test_the_notice_says_what_it_would_change_so_that_its_hash_covers_it(world, aysel, narrow):
    """P-28."""
    pending, _, _ = opened(world, narrow, attributes=[], optional=[NAME, PHONE])[0]
    with world.services.uow.read() as session:
        vault, now = aysel.visitor.vault, world.services.clock.now()
        before = amendments.find(session, vault, pending.ask, now=now)
        amends = amendments.describe(session, before, pending.ask)

    assert (amends["agreement"], amends["version"]) == (str(narrow.agreement_id), 1)
    assert amends["attributes"] == [EMAIL]
    assert (amends["added"], amends["dropped"], amends["changed"]) == ([NAME, PHONE], [EMAIL], [])


@pytest.mark.tampers
def test_what_forged_rows_call_agreed_is_not_taken_for_agreed(world, aysel, narrow):
    """P-9: a database writer cannot have the page tick more than the sealed terms hold."""
    (version,) = rows(world, AgreementVersion)
    document = canonical.parse(version.document) | {"attributes": [EMAIL, NAME, PHONE]}
    forged = {
        "document": canonical.canonical_bytes(document),
        "sha256": canonical.sha256_hex(document),
    }
    world.services.uow.write(lambda s: s.execute(update(AgreementVersion).values(**forged)))
    request, _ = opened(world, narrow)

    with pytest.raises(DecryptionError):
        world.allow(aysel, request, optional=[NAME])

    assert one(world, Agreement).version == 1


def test_a_person_takes_away_alone_what_is_optional(world, shop, wide):
    """P-13: version, event, receipt, news; the organisation is not asked."""
    old = wide.access_token
    reduce(world, wide, optional=[PHONE], duration="P7D", fetches_per_day=24)

    agreement = one(world, Agreement)
    document = canonical.parse(
        max(rows(world, AgreementVersion), key=lambda each: each.version).document
    )
    assert course(world)[-1] == ("narrow", "dpv:ConsentGiven", 2, "individual")
    assert (logged(world)[-1], told(world)[-1]) == ("consent.changed", "consent.changed")
    assert (document["attributes"], document["denied"]) == ([EMAIL, PHONE], [NAME])
    assert (document["duration"], document["fetches_per_day"]) == ("P7D", 24)
    assert agreement.expires_at < world.services.clock.now() + timedelta(days=7)
    assert [row.kind for row in sorted(rows(world, Receipt), key=lambda r: r.created_at)] == [
        "given",
        "changed",
    ]
    assert held(world) == {("contact", 1)}
    assert shop.get("/v1/records", old).status_code == 401
    body = shop.get("/v1/records", fresh_token(wide)).json()
    assert (values(body, "given_name"), values(body, "phone")) == ([], ["+994501112233"])


@pytest.mark.parametrize(
    ("choice", "field"),
    [
        ({"optional": ["identity.national_id"]}, "attributes"),
        ({"optional": [NAME, EMAIL]}, "attributes"),
        ({"optional": [NAME], "duration": "P30D"}, "duration"),
        ({"optional": [NAME], "duration": "P365D"}, "duration"),
        ({"optional": [NAME], "fetches_per_day": 100}, "fetches_per_day"),
        ({"optional": [NAME], "fetches_per_day": 288}, "fetches_per_day"),
        ({"optional": [NAME, PHONE]}, "attributes"),
        ({"coarsenings": {NAME: ""}, "instances": {"contact": ""}}, "attributes"),
        ({"coarsenings": {EMAIL: "domain_only"}}, f"coarsen.{EMAIL}"),
        ({"coarsenings": {"tax.tin": "last_four"}}, "coarsen.tax.tin"),
        ({"instances": {"contact": "all"}}, "instances.contact"),
        ({"instances": {"contact": "chosen"}}, "instances.contact"),
        ({"instances": {"profile": "primary"}}, "instances.profile"),
    ],
)
def test_narrowing_never_adds(world, wide, choice, field):
    """P-13: a tampered form decides nothing."""
    with pytest.raises(ValidationFailedError) as refused:
        reduce(world, wide, **choice)

    assert [issue.field for issue in refused.value.issues] == [field]
    assert one(world, Agreement).version == 1


def test_a_coarser_form_and_the_main_record_alone_are_narrowings(world, aysel, shop):
    """P-13, LEAD-5: the next version, the same grant; and no way back to the value itself."""
    aysel.save("addresses", street_address="12 Sample Street", locality="Bakı", district="Nəsimi")
    aysel.save("contact", email="main@example.com", primary=True)
    street = "addresses.street_address"
    connected = world.connect(
        aysel, shop, shop.publish(required=[EMAIL], optional=[street]), optional=[street]
    )
    assert set(values(page(connected), "email")) == {"a@example.com", "main@example.com"}

    reduce(
        world,
        connected,
        optional=[street],
        coarsenings={street: "city_only"},
        instances={"contact": "primary"},
    )

    body = shop.get("/v1/records", fresh_token(connected)).json()
    assert values(body, "email") == ["main@example.com"]
    assert values(body, "street_address") == ["Bakı"]
    grant = shop.get("/v1/grant", fresh_token(connected)).json()
    assert grant["coarsenings"] == {street: "city_only"}
    assert grant["instances"] == {"contact": {"which": "primary"}}
    assert one(world, Agreement).version == 2
    for more in ({"coarsenings": {street: "district_only"}}, {"instances": {"contact": "primary"}}):
        with pytest.raises(ValidationFailedError):
            reduce(world, connected, optional=[street], **more)


def test_what_was_taken_away_cannot_be_had_back_without_a_request(world, wide):
    reduce(world, wide, optional=[PHONE])

    with pytest.raises(ValidationFailedError):
        reduce(world, wide, optional=[NAME, PHONE])

    assert one(world, Agreement).version == 2


def test_narrowing_is_of_ones_own_agreement_while_it_lives_as_it_was_seen(world, aysel, wide):
    """SEC-S23, CM-6, P-28: another's vault, another version, an agreement that has ended."""
    leyla = world.person("leyla")
    with pytest.raises(NotFoundError):
        reduce(world, wide, optional=[], person=leyla)
    visitor = aysel.visitor
    stale = Reduction("0" * 64, frozenset())
    narrowing = world.services.narrowing
    with pytest.raises(NoticeChangedError):
        narrowing.narrow(visitor.vault, visitor.open_vault, wide.agreement_id, stale)
    world.services.pauses.pause(visitor.vault, wide.agreement_id)
    reduce(world, wide, optional=[])
    assert (one(world, Agreement).state, one(world, Grant).state) == ("suspended", "paused")
    wide.withdraw()

    with pytest.raises(ConflictError):
        reduce(world, wide, optional=[])

    assert one(world, Agreement).state == "withdrawn"


def test_the_one_access_that_was_had_does_not_come_back_by_a_next_version(world, aysel, shop):
    """P-10, P-9: its rows end sooner than its terms; another approval is another agreement."""
    access = {"mode": "once", "fetches_per_day": 10}
    template = shop.publish(required=[EMAIL], optional=[NAME], access=access)
    first = world.connect(aysel, shop, template, optional=[NAME])
    page(first)
    before = one(world, Agreement)

    with pytest.raises(ConflictError):
        reduce(world, first, optional=[])

    assert one(world, Agreement).expires_at == before.expires_at
    second = world.connect(aysel, shop, template)
    assert second.agreement_id != first.agreement_id
    assert first.get("/v1/records").status_code == 403


def test_nothing_of_an_amendment_stays_if_it_fails(world, aysel, wide, monkeypatch):
    """REL-R1: old version or new, never between."""
    request, _ = opened(world, wide)
    service = type(world.services.receipts)

    def fails(*_args, **_kwargs):
        raise RuntimeError("the disk is full")

    monkeypatch.setattr(service, "issue", fails)
    with pytest.raises(RuntimeError, match="disk is full"):
        world.allow(aysel, request, optional=[PHONE])
    monkeypatch.undo()

    assert (one(world, Agreement).version, one(world, Grant).agreement_version) == (1, 1)
    assert len(rows(world, AgreementVersion)) == 1
    assert held(world) == {("contact", 1), ("profile", 1)}
    assert wide.get("/v1/records").status_code == 200


def test_a_choice_beyond_what_is_asked_amends_nothing(world, aysel, wide):
    """P-27."""
    (pending, request, shown), _ = opened(world, wide, optional=[NAME])
    choice = Choice(shown, "en", frozenset({NAME}), "P30D")
    for wrong in ({"optional": frozenset({PHONE})}, {"duration": "P90D"}):
        with world.app.test_request_context(), pytest.raises(ValidationFailedError):
            world.services.authorization.allow(
                pending, aysel.visitor, request, replace(choice, **wrong)
            )

    assert one(world, Agreement).version == 1
