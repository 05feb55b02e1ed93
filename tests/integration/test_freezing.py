"""An organisation whose keys were stolen is stopped, and goes on one by one (P-30, P-13)."""

from __future__ import annotations

import threading
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import select

from api.oauth import clients, registration
from api.oauth.models import RefusedKey, Token
from api.worker import Worker
from consent import connections, freezing, organisations
from consent.models import Agreement, Event, Grant, Organisation
from consent.vocabulary import FreezeReason, Standing
from consent.webhooks import endpoints
from pds import deposits, feed
from pds.errors import ConflictError, ValidationFailedError
from pds.models import CollectionKey, KeyWrap
from tests.support.freezing import freeze, with_new_keys
from tests.support.oauth_client import pkce_pair
from tests.support.statements import recorded

EMAIL = "contact.email"
THREADS = 8


@pytest.fixture
def template(shop):
    return shop.publish(required=[EMAIL], access={"mode": "on_change", "fetches_per_day": 1440})


@pytest.fixture
def connected(world, aysel, shop, template):
    aysel.save("contact", email="a@example.com")
    return world.connect(aysel, shop, template)


def ask_again(world, shop, connected, *, merges=True):
    """Ask a person again under a grant's id, as after a thaw; returns the new connection."""
    verifier, opened = opened_again(world, shop, connected, merges=merges)
    callback = world.allow(connected.person, opened)
    answer = shop.client.redeem(callback["code"], verifier)
    assert answer.status_code == 200, answer.text
    return world.connected(connected.person, shop, connected.template, answer.json())


def opened_again(world, shop, connected, *, merges=True):
    verifier, challenge = pkce_pair()
    managed = {
        "grant_management_action": "merge",
        "grant_id": connected.body["grant_id"],
    }
    answer = shop.client.push(
        challenge,
        details=shop.details(connected.template, duration="P30D"),
        **(managed if merges else {}),
    )
    assert answer.status_code == 201, answer.text
    request_uri = answer.json()["request_uri"]
    return verifier, world.open_request(connected.person, shop, request_uri)


def problem(answer):
    return answer.status_code, answer.json()["type"].rpartition("/")[2]


def rows(world, model, *where):
    with world.services.uow.read() as session:
        return list(session.scalars(select(model).where(*where)))


def test_everything_stops_with_the_next_request_and_nothing_ends(world, shop, connected):
    """P-30: reads, tokens, requests and the organisation's own affairs, under its old keys."""
    token = shop.organisation_token()
    pushed, _ = world.push(shop, shop.details(connected.template))
    challenge = pkce_pair()[1]
    waiting = world.open_request(
        connected.person,
        shop,
        shop.client.push(challenge, details=shop.details(connected.template)).json()["request_uri"],
    )

    assert freeze(shop) is True

    assert problem(connected.get("/v1/records")) == (403, "organisation-frozen")
    for answer in (
        shop.client.refresh(connected.refresh_token),
        shop.client.client_credentials("organisation"),
        shop.client.client_credentials("obligations"),
        shop.client.push(challenge, details=shop.details(connected.template)),
        shop.client.introspect(connected.access_token),
    ):
        assert (answer.status_code, answer.json()["error"]) == (400, "unauthorized_client")
        assert answer.json()["error_description"].startswith("organisation-frozen")
    assert shop.get("/v1/connections", token).status_code == 401
    with pytest.raises(ConflictError):
        world.allow(connected.person, waiting)
    with world.app.app_context(), pytest.raises(Exception, match="organisation_frozen"):
        world.services.authorization.begin(shop.client.client_id, pushed)
    (agreement,), (grant,) = rows(world, Agreement), rows(world, Grant)
    assert (agreement.state, agreement.version, grant.state) == ("active", 1, "active")


def test_a_freeze_costs_the_same_however_many_grants_there_are(world, connected):
    """One row decides: nothing is rewritten for each grant, and no read asks more than before."""
    sent = []
    for login in ("leyla", "murad"):
        bank = world.organisation(f"Bank {login}")
        offered = bank.publish(required=[EMAIL])
        for number in range(1 if login == "leyla" else 3):
            world.connect(world.person(f"{login}{number}"), bank, offered)
        with recorded(world) as found:
            world.services.freezing.freeze(bank.id, reason=FreezeReason.PRECAUTION)
        sent.append([len(job) for job in found.jobs])

    assert sent[0] == sent[1]
    with recorded(world) as found:
        assert connected.get("/v1/records").status_code == 200
    assert len(found.reads) == 2


def test_a_decision_made_before_a_freeze_is_thrown_away(world, aysel, shop, monkeypatch):
    """P-7, P-30: what was decided on is in the statement that commits."""
    template = shop.publish(required=[EMAIL], actions=["read", "write"])
    connected = world.connect(aysel, shop, template, ask={"actions": ["read", "write"]})
    prepare, read_page = deposits.prepare, feed.read_page

    def frozen_meanwhile(original):
        def step(*args, **named):
            found = original(*args, **named)
            freeze(shop)
            return found

        return step

    monkeypatch.setattr(deposits, "prepare", frozen_meanwhile(prepare))
    answer = connected.post(
        "/v1/records/contact", {"document_id": "d1", "data": {"email": "b@example.com"}}
    )
    assert problem(answer) == (409, "consent-changed")

    monkeypatch.setattr(feed, "read_page", frozen_meanwhile(read_page))
    shop = with_new_keys(shop)
    again = ask_again(world, shop, connected)
    assert problem(again.get("/v1/records")) == (409, "consent-changed")


def test_grants_go_on_one_by_one_each_by_its_persons_word(world, shop, template, connected):
    """P-13: the same grant, agreement and connection; new tokens; what was before stays dead."""
    leyla = world.connect(world.person("leyla"), shop, template)
    old = {each.selector for each in rows(world, Token)}
    freeze(shop)
    fresh = with_new_keys(shop)

    for each in (connected, leyla):
        assert problem(each.get("/v1/records")) == (403, "organisation-frozen")
        assert fresh.client.refresh(each.refresh_token).json()["error"] == "invalid_grant"
        assert fresh.client.introspect(each.refresh_token).json() == {"active": False}
    listed = fresh.get("/v1/connections", fresh.organisation_token()).json()["connections"]
    assert [one["frozen"] for one in listed] == [True, True]

    again = ask_again(world, fresh, connected)

    assert again.get("/v1/records").status_code == 200
    assert again.body["grant_id"] == connected.body["grant_id"]
    assert again.agreement_id == connected.agreement_id
    assert fresh.client.refresh(again.refresh_token).status_code == 200
    assert connected.get("/v1/records").status_code == 401
    assert fresh.client.refresh(connected.refresh_token).json()["error"] == "invalid_grant"
    assert problem(leyla.get("/v1/records"))[0] == 403
    grant_id = UUID(connected.body["grant_id"])
    assert not old & {each.selector for each in rows(world, Token, Token.grant_id == grant_id)}
    wrapped = rows(world, KeyWrap, KeyWrap.by_kind == "token", KeyWrap.wrapped_id == str(grant_id))
    assert not old & {each.by_id for each in wrapped}
    # A database of before with a token of before opens no key of what is written from here on.
    (key,) = rows(
        world,
        CollectionKey,
        CollectionKey.collection == "contact",
        CollectionKey.vault_id == connected.person.vault_id,
    )
    assert key.rotation_due is True
    names = [each.name for each in rows(world, Event, Event.grant_id == grant_id)]
    assert "organisation.thawed" in names


def test_a_request_without_the_grants_id_thaws_as_well(world, shop, connected):
    freeze(shop)
    again = ask_again(world, with_new_keys(shop), connected, merges=False)

    assert again.get("/v1/records").status_code == 200
    assert again.agreement_id == connected.agreement_id


def test_the_person_is_shown_what_happened_and_may_leave_it_stopped(world, shop, connected):
    """P-28: that it was frozen, and since when, is part of what is shown and signed."""
    freeze(shop)
    fresh = with_new_keys(shop)
    _, opened = opened_again(world, fresh, connected)
    pending = opened[0]
    vault = connected.person.visitor.vault
    notice = world.services.agreements.show(
        vault, pending.ask, pending.details, pending.pushed_id, locale="en"
    )[1]
    assert notice["amends"]["frozen_at"].startswith("2026-03-01T12:")

    world.refuse(connected.person, opened)

    assert problem(connected.get("/v1/records"))[0] == 403
    assert rows(world, Agreement)[0].state == "active"


def test_what_a_person_may_do_they_may_do_meanwhile_and_it_thaws_nothing(world, shop, connected):
    """CM-6: pausing, resuming, stopping; none of it is a word for the new keys."""
    freeze(shop)
    services, vault = world.services, connected.person.visitor.vault
    services.pauses.pause(vault, connected.agreement_id)
    services.pauses.resume(vault, connected.agreement_id)
    with_new_keys(shop)
    assert problem(connected.get("/v1/records")) == (403, "organisation-frozen")

    connected.withdraw()

    assert rows(world, Agreement)[0].state == "withdrawn"


def test_keys_of_before_are_refused_for_ever_and_for_everybody(world, shop):
    """RFC 7638: to sign, to prove with, registered or rotated in, under whatever name."""
    old, services = shop.client.key, world.services
    proof_key = shop.client.dpop_key
    shop.organisation_token()
    freeze(shop)
    other = world.organisation("Başqa Market")

    def rotate(client_id):
        renamed = old.as_dict(private=False) | {"kid": "renamed"}
        services.uow.write(
            lambda session: clients.rotate_keys(session, UUID(client_id), {"keys": [renamed]})
        )

    for organisation in (shop, other):
        with pytest.raises(ValidationFailedError):
            rotate(organisation.client.client_id)
    with pytest.raises(ConflictError):
        services.freezing.thaw(shop.id, services.freezing.keys(shop.id))

    fresh = with_new_keys(shop)
    assert shop.client.client_credentials("organisation").json()["error"] == "invalid_client"
    fresh.client.dpop_key = proof_key
    answer = fresh.client.client_credentials("organisation")
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
    assert len(rows(world, RefusedKey)) == 2


def test_a_second_theft_freezes_again_and_refuses_the_keys_since(world, shop, connected):
    freeze(shop)
    fresh = with_new_keys(shop)
    again = ask_again(world, fresh, connected)
    assert freeze(fresh) is True
    assert freeze(fresh) is False

    assert problem(again.get("/v1/records")) == (403, "organisation-frozen")
    latest = with_new_keys(shop)
    assert fresh.client.client_credentials("organisation").json()["error"] == "invalid_client"
    assert latest.client.client_credentials("organisation").status_code == 200
    assert problem(again.get("/v1/records"))[0] == 403


def test_what_a_thief_began_is_over(world, shop, connected, clock):
    """Registration tokens, pushed requests, tokens of its own, webhook endpoints."""
    services, now = world.services, clock.now()
    token = services.uow.write(
        lambda session: registration.allow(
            session, shop.id, services.log, uses=3, now=now, expires_at=now + timedelta(days=7)
        )
    )
    endpoint = services.uow.write(
        lambda session: endpoints.create(
            session,
            services.keys,
            shop.id,
            url="https://x.example",
            events=[],
            secret=b"s" * 32,
            now=now,
        )
    )
    old_token = shop.organisation_token()
    uri, _ = world.push(shop, shop.details(connected.template))
    freeze(shop)
    fresh = with_new_keys(shop)

    assert services.authorization.service.registration.store.find_token(token.text()) is None
    assert shop.get("/v1/organisation", old_token).status_code == 401
    with world.app.app_context(), pytest.raises(Exception, match="invalid_request_uri"):
        services.authorization.begin(shop.client.client_id, uri)
    read = fresh.get(f"/v1/webhooks/{endpoint}", fresh.organisation_token()).json()
    assert (read["enabled"], read["disabled_reason"]) == (False, "frozen")


def test_the_organisation_reports_itself_with_its_token(shop, connected):
    """A thief may do it, too: it only stops what they could do."""
    token = shop.organisation_token()
    assert shop.post("/v1/organisation/freeze", token, {"reason": "x"}).status_code == 422

    answer = shop.post("/v1/organisation/freeze", token, {"reason": "keys-stolen"})

    assert (answer.status_code, answer.json()["frozen"]) == (200, True)
    assert problem(connected.get("/v1/records")) == (403, "organisation-frozen")
    assert shop.post("/v1/organisation/freeze", token, {"reason": "keys-stolen"}).status_code == 401


def test_people_are_told_once_in_their_log_by_letter_and_on_the_card(world, shop, connected):
    world.connect(connected.person, shop, shop.publish(required=[EMAIL]))
    freeze(shop)
    worker = Worker(world.services)
    worker.turn()
    world.services.uow.write(
        lambda session: freezing.tell(session, world.services.log, now=world.services.clock.now())
    )

    frozen = rows(world, Event, Event.name == "organisation.frozen")
    assert [each.grant_id is None for each in frozen].count(True) == 1
    assert len(frozen) == 3
    vault = connected.person.visitor.vault
    with world.services.uow.read() as session:
        view = connections.get(
            session,
            vault.bucket,
            vault.id,
            connected.agreement_id,
            now=world.services.clock.now(),
        )
    assert (view.state, view.frozen.has_new_keys) == ("active", False)


def test_a_suspended_organisation_may_be_frozen_and_a_removed_one_needs_no_freeze(world, shop):
    services = world.services
    services.uow.write(lambda s: organisations.set_standing(s, shop.id, Standing.SUSPENDED))
    assert freeze(shop) is True
    services.uow.write(lambda s: organisations.set_standing(s, shop.id, Standing.GOOD))
    assert shop.client.client_credentials("organisation").json()["error"] == "unauthorized_client"
    services.uow.write(lambda s: organisations.set_standing(s, shop.id, Standing.REMOVED))
    with pytest.raises(ConflictError):
        freeze(shop)


def test_no_read_that_begins_after_an_acknowledged_freeze_is_answered(world, shop, connected):
    """P-7 under threads: reads, refreshes and a freeze at one moment."""
    frozen, gate, late = threading.Event(), threading.Barrier(THREADS + 1), []

    def read():
        gate.wait()
        for _ in range(6):
            is_late = frozen.is_set()
            answer = connected.get("/v1/records")
            late.append((is_late, answer.status_code))

    def refresh():
        gate.wait()
        for _ in range(4):
            is_late = frozen.is_set()
            late.append((is_late, shop.client.refresh(connected.refresh_token).status_code))

    def stop():
        gate.wait()
        freeze(shop)
        frozen.set()

    threads = [threading.Thread(target=each) for each in (*[read] * 6, *[refresh] * 2, stop)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    assert not [status for is_late, status in late if is_late and status == 200]
    assert connected.get("/v1/records").status_code == 403
    (shop_row,) = rows(world, Organisation)
    assert (shop_row.is_frozen, shop_row.key_generation) == (True, 1)
