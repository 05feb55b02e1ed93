"""From sign-up to erasure, as the organisation sees it over HTTP, on both stores."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select

from api.oauth.authorization import AuthorizationPageError
from api.worker import Worker
from consent.formats import canonical, deletion_receipt, receipt
from consent.models import Event, Receipt
from pds.clock import rfc3339
from pds.records import Draft
from tests.support.oauth_client import OMIT, new_key, pkce_pair
from tests.support.reading import Mirror, page, values
from tests.support.worlds import TickingClock, world_on

EMAIL, NAME = "contact.email", "profile.given_name"
_DAY = timedelta(days=1)
_STREAMS = select(Event.stream, Event.seq)
_RECEIPTS = select(Receipt.document)


@pytest.fixture
def clock():
    return TickingClock()


@pytest.fixture
def world(store, clock):
    """Give a world on each kind of store."""
    with world_on(store, clock=clock) as world:
        yield world


@pytest.fixture
def aysel(world):
    aysel = world.person()
    aysel.save("contact", email="aysel@example.com")
    aysel.save("profile", given_name="Aysel", job_title="nurse")
    return aysel


@pytest.fixture
def shop(world):
    return world.organisation()


def organisation_page(organisation, path, **parameters):
    answer = organisation.get(path, organisation.organisation_token(), params=parameters)
    assert answer.status_code == 200, answer.text
    return answer.json()


def worker(world):
    """Return a worker that does everything once when it is told to."""
    return Worker(world.services)


def receipt_keys(world):
    issuer = world.services.receipts
    return {issuer.kid: issuer.key.public_key().public_bytes_raw()}


def test_the_whole_story(world, clock, aysel, shop):
    """Ask, allow a part, read, follow, withdraw, erase: and each step has its entry and receipt."""
    template = shop.publish(required=[EMAIL], optional=[NAME, "contact.phone"])
    connected = world.connect(aysel, shop, template, optional=[NAME], duration="P30D")

    granted = connected.body["authorization_details"][0]
    assert granted["attributes"] == [EMAIL, NAME]
    assert granted["withheld"] == [{"attribute": "contact.phone", "reason": "not_agreed"}]
    assert connected.body["token_type"] == "DPoP"
    assert connected.get("/v1/grant").json()["usable"] is True

    mirror = Mirror(connected)
    mirror.catch_up()
    assert mirror.values("email") == ["aysel@example.com"]
    assert mirror.values("given_name") == ["Aysel"]
    (email,) = aysel.records.all(["contact"])
    aysel.records.save(Draft("contact", {"email": "new@example.com"}, email.id, 1))
    worker(world).turn()
    (change,) = organisation_page(shop, "/v1/changes", after=1)["changes"]
    (connection,) = organisation_page(shop, "/v1/connections")["connections"]
    assert (change["connection"], change["kind"]) == (connection["id"], "data")
    mirror.catch_up()
    assert mirror.values("email") == ["new@example.com"]

    given = connected.get("/v1/receipt").json()
    receipt.verify(given, receipt_keys(world))

    connected.withdraw(request_deletion=True)
    answer = connected.get("/v1/records", params={"cursor": mirror.cursor})
    assert answer.status_code == 403
    ended = connected.get("/v1/receipt").json()
    receipt.verify(ended, receipt_keys(world))
    assert ended["dct:identifier"] != given["dct:identifier"]

    owing = organisation_page(shop, "/v1/obligations")["obligations"]
    (owed,) = (each for each in owing if each["kind"] == "delete")
    assert owed["asked_by_person"] is True
    confirmation = deletion_receipt.sign(
        deletion_receipt.build(
            deletion_receipt.DeletionFacts(
                connection=owed["connection"],
                agreement=owed["agreement"]["id"],
                requested_at=owed["requested_at"],
                erased_at=rfc3339(clock.now()),
                outcome=deletion_receipt.Outcome.ERASED,
                reason=None,
                items={"contact": 1, "profile": 1},
                connector="test 1",
                verified_by_reread=True,
            )
        ),
        shop.signing_key,
        shop.kid,
    )
    path = f"/v1/obligations/{owed['id']}/confirmation"
    for _ in range(2):
        answered = shop.post(path, shop.organisation_token(), confirmation)
        assert answered.json()["state"] == "confirmed", answered.text
    left = organisation_page(shop, "/v1/obligations")["obligations"]
    assert "delete" not in {each["kind"] for each in left}

    worker(world).turn()
    states = [one["state"] for one in organisation_page(shop, "/v1/connections")["connections"]]
    assert states == ["withdrawn"]


def test_a_code_is_spent_by_its_first_use_and_its_tokens_end_with_the_second(world, aysel, shop):
    """SEC-S29, BCP-B16."""
    request_uri, verifier = world.push(shop, shop.details(shop.publish(required=[EMAIL])))
    callback = world.allow(aysel, world.open_request(aysel, shop, request_uri))
    first = shop.client.redeem(callback["code"], verifier)
    assert first.status_code == 200
    token = first.json()["access_token"]
    assert shop.get("/v1/records", token).status_code == 200

    second = shop.client.redeem(callback["code"], verifier)

    assert (second.status_code, second.json()["error"]) == (400, "invalid_grant")
    assert shop.get("/v1/records", token).status_code == 401
    assert shop.client.refresh(first.json()["refresh_token"]).status_code == 400


def test_a_code_is_of_its_client_its_verifier_its_address_and_its_minute(world, clock, aysel, shop):
    """RFC 6749 section 4.1.3, SEC-S30; none of these spends it."""
    bank = world.organisation("Bank")
    template = shop.publish(required=[EMAIL])

    def code():
        request_uri, verifier = world.push(shop, shop.details(template))
        opened = world.open_request(aysel, shop, request_uri)
        return world.allow(aysel, opened)["code"], verifier

    text, verifier = code()
    for answer in (
        bank.client.redeem(text, verifier),
        shop.client.redeem(text, pkce_pair()[0]),
        shop.client.redeem(text, verifier, redirect_uri="https://client.example/other"),
        shop.client.redeem(text + "x", verifier),
    ):
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
    assert shop.client.redeem(text, verifier).status_code == 200

    late, verifier = code()
    clock.move(seconds=61)
    assert shop.client.redeem(late, verifier).json()["error"] == "invalid_grant"


def test_a_code_that_was_bound_to_a_key_is_redeemed_with_that_key(world, aysel, shop):
    """RFC 9449 section 10, TAK-21."""
    details = shop.details(shop.publish(required=[EMAIL]))
    client = shop.client
    proof = client.proof("POST", client.endpoints["pushed_authorization_request"])
    request_uri, verifier = world.push(shop, details, proof=proof)
    callback = world.allow(aysel, world.open_request(aysel, shop, request_uri))

    other = client.proof("POST", client.endpoints["token"], key=new_key())
    assert client.redeem(callback["code"], verifier, proof=other).status_code == 400
    assert client.redeem(callback["code"], verifier).status_code == 200


def test_a_request_uri_is_spent_by_the_decision(world, clock, aysel, shop):
    """DEC-5: opened again, or after its time, or by another client, it is nothing."""
    template = shop.publish(required=[EMAIL])
    request_uri, _ = world.push(shop, shop.details(template))
    bank = world.organisation("Bank")
    with pytest.raises(AuthorizationPageError):
        world.open_request(aysel, bank, request_uri)
    world.refuse(aysel, world.open_request(aysel, shop, request_uri))

    with pytest.raises(AuthorizationPageError):
        world.open_request(aysel, shop, request_uri)
    late, _ = world.push(shop, shop.details(template))
    clock.move(seconds=600)
    with pytest.raises(AuthorizationPageError):
        world.open_request(aysel, shop, late)


def test_a_refresh_token_is_of_its_client_and_lives_as_long_as_the_consent(
    world, clock, aysel, shop
):
    """DEC-1, SEC-S32: it does not rotate, and each use gives an access token of its own."""
    bank = world.organisation("Bank")
    connected = world.connect(aysel, shop, shop.publish(required=[EMAIL]))
    assert bank.client.refresh(connected.refresh_token).json()["error"] == "invalid_grant"
    tokens = [shop.client.refresh(connected.refresh_token).json() for _ in range(2)]

    assert tokens[0]["access_token"] != tokens[1]["access_token"]
    assert all("refresh_token" not in one for one in tokens)
    assert all(shop.get("/v1/records", one["access_token"]).status_code == 200 for one in tokens)
    clock.move(days=30)
    assert shop.client.refresh(connected.refresh_token).json()["error"] == "invalid_grant"


def test_a_revoked_refresh_token_takes_its_access_tokens_along(world, aysel, shop):
    """RFC 7009 section 2.1; the consent itself goes on."""
    connected = world.connect(aysel, shop, shop.publish(required=[EMAIL]))

    assert shop.client.revoke(connected.refresh_token).status_code == 200

    assert connected.get("/v1/records").status_code == 401
    assert shop.client.refresh(connected.refresh_token).status_code == 400
    (listed,) = organisation_page(shop, "/v1/connections")["connections"]
    assert listed["state"] == "active"


def test_a_revoked_access_token_ends_alone(world, aysel, shop):
    connected = world.connect(aysel, shop, shop.publish(required=[EMAIL]))

    shop.client.revoke(connected.access_token)

    assert connected.get("/v1/records").status_code == 401
    assert shop.client.refresh(connected.refresh_token).status_code == 200


def test_introspection_tells_of_a_token_and_never_of_data(world, aysel, shop):
    """RFC 7662, TAK-32."""
    connected = world.connect(aysel, shop, shop.publish(required=[EMAIL]))

    told = shop.client.introspect(connected.access_token).json()

    assert told["active"] is True
    assert told["cnf"] == {"jkt": shop.client.dpop_key.thumbprint()}
    (listed,) = organisation_page(shop, "/v1/connections")["connections"]
    assert told["sub"] == listed["sub"]
    assert "aysel@example.com" not in str(told)
    connected.withdraw()
    assert shop.client.introspect(connected.access_token).json() == {"active": False}


def test_a_client_without_its_assertion_is_nobody(shop):
    """SEC-S35."""
    answer = shop.client.post("token", {"grant_type": "client_credentials"}, assertion=OMIT)

    assert answer.status_code in {400, 401}
    assert answer.json()["error"] == "invalid_client"


def test_an_unchanged_snapshot_is_not_sent_again(world, aysel, shop):
    """P-10: a 304 is logged, and not counted."""
    connected = world.connect(aysel, shop, shop.publish(required=[EMAIL]))
    first = connected.get("/v1/records")
    etag = first.headers["ETag"]

    again = connected.get("/v1/records", headers={"If-None-Match": etag})

    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["ETag"] == etag
    assert again.headers["PDS-Log-Entry"] != first.headers["PDS-Log-Entry"]
    assert connected.get("/v1/grant").json()["fetches_today"] == 1
    aysel.save("contact", email="second@example.com")
    changed = connected.get("/v1/records", headers={"If-None-Match": etag})
    assert changed.status_code == 200
    assert changed.headers["ETag"] != etag


def test_fetches_are_counted_by_the_day(world, clock, aysel, shop):
    """P-10: follow-up pages and empty ones are not fetches; the limit is 429 until midnight."""
    for n in range(3):
        aysel.save("contact", email=f"{n}@example.com")
    template = shop.publish(required=[EMAIL], access={"mode": "periodic", "fetches_per_day": 2})
    connected = world.connect(aysel, shop, template)

    mirror = Mirror(connected, limit=1)
    assert len(mirror.catch_up()) == 4
    assert mirror.catch_up() == []
    assert connected.get("/v1/grant").json()["fetches_today"] == 1
    page(connected)
    refused = connected.get("/v1/records")
    assert refused.status_code == 429
    assert refused.json()["type"].endswith("/limit-reached")
    one = connected.get(f"/v1/records/contact/{next(iter(mirror.held))}")
    assert one.status_code == 429

    clock.instant = clock.instant.replace(hour=0, minute=0) + _DAY
    token = shop.client.refresh(connected.refresh_token).json()["access_token"]
    assert shop.get("/v1/records", token).status_code == 200


def test_a_follow_up_page_after_its_quarter_hour_is_a_fetch_of_its_own(world, clock, aysel, shop):
    """P-10."""
    aysel.save("contact", email="second@example.com")
    template = shop.publish(required=[EMAIL], access={"mode": "periodic", "fetches_per_day": 2})
    connected = world.connect(aysel, shop, template)
    cursor = page(connected, limit=1)["next_cursor"]
    clock.move(minutes=16)
    token = shop.client.refresh(connected.refresh_token).json()["access_token"]

    answer = shop.get("/v1/records", token, params={"limit": 1, "cursor": cursor})

    assert answer.status_code == 200
    assert shop.get("/v1/grant", token).json()["fetches_today"] == 2


def test_a_cursor_of_an_earlier_agreement_is_gone(world, aysel, shop):
    """P-23: the new agreement is listed from its beginning."""
    template = shop.publish(required=[EMAIL])
    old = page(world.connect(aysel, shop, template))["next_cursor"]

    again = world.connect(aysel, shop, template)

    answer = again.get("/v1/records", params={"cursor": old})
    assert answer.status_code == 410
    assert answer.json()["type"].endswith("/cursor-expired")
    assert values(page(again), "email") == ["aysel@example.com"]


def test_one_record_is_read_by_the_name_this_grant_has_for_it(world, aysel, shop):
    """P-2: the vault's own id, and another grant's, are nothing here."""
    connected = world.connect(aysel, shop, shop.publish(required=[EMAIL]))
    bank = world.organisation("Bank")
    other = world.connect(aysel, bank, bank.publish(required=[EMAIL]))
    (mine,), (theirs,) = (page(one)["records"] for one in (connected, other))
    (own,) = aysel.records.all(["contact"])

    answer = connected.get(f"/v1/records/contact/{mine['id']}")

    assert answer.json()["records"] == [mine]
    for name in (theirs["id"], own.id):
        assert connected.get(f"/v1/records/contact/{name}").status_code == 404
    assert connected.get(f"/v1/records/profile/{mine['id']}").status_code == 403


def test_every_answer_names_an_entry_that_the_log_holds(world, aysel, shop):
    """P-33, D9."""
    connected = world.connect(aysel, shop, shop.publish(required=[EMAIL]))
    named = [connected.get("/v1/records").headers["PDS-Log-Entry"] for _ in range(3)]
    record = page(connected)["records"][0]["id"]
    named.append(connected.get(f"/v1/records/contact/{record}").headers["PDS-Log-Entry"])

    with world.services.uow.read() as session:
        held = {f"{stream}/{seq}" for stream, seq in session.execute(_STREAMS)}
    assert set(named) <= held
    assert len(set(named)) == 4


def test_a_refused_request_comes_back_as_such_with_a_signed_receipt(world, aysel, shop):
    """CM-5, CUX-23."""
    request_uri, _ = world.push(shop, shop.details(shop.publish(required=[EMAIL])))

    back = world.refuse(aysel, world.open_request(aysel, shop, request_uri))

    assert (back["error"], back["iss"]) == ("access_denied", world.issuer)
    assert "code" not in back
    with world.services.uow.read() as session:
        (document,) = session.scalars(_RECEIPTS)
    receipt.verify(canonical.parse(document), receipt_keys(world))


def test_the_organisations_lists_hold_no_personal_data(world, aysel, shop):
    """P-29, P-24: who, never what."""
    world.connect(aysel, shop, shop.publish(required=[EMAIL]))
    worker(world).turn()

    (connection,) = organisation_page(shop, "/v1/connections")["connections"]
    (change,) = organisation_page(shop, "/v1/changes")["changes"]

    assert set(connection) == {
        "id", "sub", "agreement", "template", "state", "grant_id", "expires_at", "feed",
        "frozen",
    }  # fmt: skip
    assert set(change) == {"feed", "connection", "kind", "event", "obligation", "at", "state"}
    assert str(aysel.vault_id) not in f"{connection}{change}"
