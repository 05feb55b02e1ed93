"""What may happen once happens once, whoever else asks at the same moment (DPoP-D23, DEC-5, AL-4).

All threads wait at one gate and are let in together. A unique index or a conditional update
decides, in the store that every process shares (P-45).
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
from authlib.oauth2.rfc6749 import InvalidClientError
from sqlalchemy import select

from api.oauth import refused_keys, registration, stores
from api.oauth.ext.replay import CLIENT_ASSERTION, OneTimeValue, one_time_hash
from api.oauth.models import Token
from api.oauth.stores import PushedRequestTable, ReplayTable
from consent.errors import NoticeChangedError
from pds.errors import ConflictError
from pds.ids import random_uuid
from tests.support.oauth_client import jkt, new_key, pkce_pair, public_jwks

EMAIL = "contact.email"
THREADS = 32
AFFAIRS = {"grant_type": "client_credentials", "scope": "organisation"}


@pytest.fixture
def aysel(world):
    aysel = world.person()
    aysel.save("contact", email="a@example.com")
    return aysel


@pytest.fixture
def template(shop):
    return shop.publish(required=[EMAIL], access={"mode": "on_change", "fetches_per_day": 1440})


@pytest.fixture
def connected(world, aysel, shop, template):
    return world.connect(aysel, shop, template)


def all_at_once(*steps):
    """Run steps together, each in a thread; return what each returned."""
    gate = threading.Barrier(len(steps))

    def run(step):
        gate.wait()
        return step()

    with ThreadPoolExecutor(len(steps)) as pool:
        return list(pool.map(run, steps))


def statuses(answers):
    return sorted(answer.status_code for answer in answers)


def asked(world, shop, aysel, template):
    """Push a request and open it; returns the URI, the verifier, and what the page showed."""
    request_uri, verifier = world.push(shop, shop.details(template))
    return request_uri, verifier, world.open_request(aysel, shop, request_uri)


def test_a_code_is_exchanged_once_al_4_fapi_a9(world, shop, aysel, template):
    _, verifier, opened = asked(world, shop, aysel, template)
    code = world.allow(aysel, opened)["code"]

    answers = all_at_once(*[lambda: shop.client.redeem(code, verifier)] * THREADS)

    assert statuses(answers) == [200] + [400] * (THREADS - 1)
    assert {answer.json().get("error") for answer in answers} == {None, "invalid_grant"}
    with world.services.uow.read() as session:
        kinds = [each.kind for each in session.scalars(select(Token)) if each.kind != "ac"]
    # None, if one of the others came so late that it was a reuse (BCP-B16).
    assert sorted(kinds) in ([], ["at", "rt"])


def test_a_request_uri_is_decided_once_dec_5_par_p8(world, shop, aysel, template):
    request_uri, _, opened = asked(world, shop, aysel, template)

    def decide(way):
        try:
            return way(aysel, opened)
        except (ConflictError, NoticeChangedError):
            return None

    ways = [lambda: decide(world.allow), lambda: decide(world.refuse)] * (THREADS // 2)
    found = [each for each in all_at_once(*ways) if each is not None]

    assert len(found) == 1
    with world.app.test_request_context():
        pushed = world.services.authorization.service.pushed
        assert pushed.row(request_uri, shop.client.client_id) is None


def test_a_client_has_so_many_requests_waiting_and_no_more_par_p11(
    world, shop, aysel, template, monkeypatch
):
    """One row each until decided or past; the limit is for each client, in the shared store."""
    monkeypatch.setattr(stores, "MOST_WAITING", 2)
    first = asked(world, shop, aysel, template)
    world.push(shop, shop.details(template))

    answer = shop.client.push(pkce_pair()[1], details=shop.details(template))

    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "590")
    assert answer.json()["error"] == "temporarily_unavailable"
    world.push(other := world.organisation("Bank"), other.details(other.publish(required=[EMAIL])))
    world.refuse(aysel, first[2])
    world.push(shop, shop.details(template))
    world.services.clock.move(seconds=591)
    world.push(shop, shop.details(template))


def test_a_request_is_bound_to_one_session_thr_7(world, shop, template):
    request_uri, _ = world.push(shop, shop.details(template))
    services = world.services
    pushed = PushedRequestTable(services.uow, services.ids, services.clock)
    row = pushed.row(request_uri, shop.client.client_id)
    sessions = [random_uuid() for _ in range(THREADS)]

    won = all_at_once(*[lambda one=one: pushed.bind(row.id, one) for one in sessions])

    assert won.count(True) == 1
    assert pushed.row(request_uri, shop.client.client_id).sign_in == sessions[won.index(True)]


def test_an_assertion_is_accepted_once_thr_9(shop):
    client = shop.client
    assertion = client.assertion()

    answers = all_at_once(*[lambda: client.post("token", AFFAIRS, assertion=assertion)] * THREADS)

    assert statuses(answers) == [200] + [400] * (THREADS - 1)
    assert {answer.json().get("error") for answer in answers} == {None, "invalid_client"}


def test_a_proof_is_accepted_once_at_the_token_endpoint_dpop_d11(shop):
    client = shop.client
    proof = client.proof("POST", client.endpoints["token"])

    answers = all_at_once(*[lambda: client.post("token", AFFAIRS, proof=proof)] * THREADS)

    assert statuses(answers) == [200] + [400] * (THREADS - 1)
    assert {answer.json().get("error") for answer in answers} == {None, "invalid_dpop_proof"}


@pytest.mark.parametrize("path", ["/v1/records", "/v1/grant"])
def test_a_proof_is_accepted_once_at_the_resource_dpop_d11(world, shop, connected, path):
    token = connected.access_token
    proof = shop.client.proof("GET", world.url(path), access_token=token)

    answers = all_at_once(*[lambda: connected.get(path, proof=proof)] * THREADS)

    assert statuses(answers) == [200] + [401] * (THREADS - 1)


def test_what_a_refused_token_was_asked_with_is_used_up_thr_9_dpop_d11(world, shop):
    """The token's transaction took it, and was rolled back: it is taken in one of its own."""
    client, stolen = shop.client, new_key()
    world.services.uow.write(
        lambda session: refused_keys.refuse(session, [jkt(stolen)], now=world.services.clock.now())
    )
    signed = {
        "assertion": client.assertion(),
        "proof": client.proof("POST", client.endpoints["token"], key=stolen),
    }
    assert client.post("token", AFFAIRS, **signed).json()["error"] == "invalid_grant"

    assert client.post("token", AFFAIRS, **signed).json()["error"] == "invalid_client"
    again = client.post("token", AFFAIRS, proof=signed["proof"])
    assert again.json()["error"] == "invalid_dpop_proof"
    assert client.post("token", AFFAIRS).status_code == 200


def test_of_two_processes_one_takes_a_one_time_value_dpop_d23_p_45(store):
    """Nothing in the memory of one process decides."""
    until = int(datetime(2100, 1, 1, tzinfo=UTC).timestamp())
    hashed = one_time_hash("jti")
    value = OneTimeValue(CLIENT_ASSERTION, "client", hashed, until, InvalidClientError)
    with closing(store.another_process()) as other:
        tables = [ReplayTable(store.uow), ReplayTable(other)] * (THREADS // 2)
        taken = all_at_once(*[lambda table=table: table.use_up([value]) for table in tables])

    assert taken.count(None) == 1
    assert taken.count(value) == THREADS - 1


def test_the_last_use_of_a_registration_token_is_one_registration(world, shop):
    services, now = world.services, world.services.clock.now()
    token = services.uow.write(
        lambda session: registration.allow(
            session, shop.id, services.log, uses=1, now=now, expires_at=now + timedelta(days=1)
        )
    ).text()
    metadata = {
        "client_name": "Second program",
        "redirect_uris": ["https://client.example/cb"],
        "jwks": public_jwks(new_key()),
        "token_endpoint_auth_method": "private_key_jwt",
    }

    def register():
        headers = {"Authorization": f"Bearer {token}"}
        return world.http.post("/oauth/register", json=metadata, headers=headers)

    assert statuses(all_at_once(*[register] * THREADS)) == [201] + [401] * (THREADS - 1)


@pytest.mark.parametrize("which", ["access_token", "refresh_token"])
def test_no_read_is_accepted_after_an_acknowledged_revocation_thr_15_fapi_r3(
    shop, connected, which
):
    """RFC 7009: by the clock of whoever asks. A refresh token takes its access tokens along."""
    done, late = threading.Event(), []

    def read():
        for _ in range(8):
            began_after = done.is_set()
            status = connected.get("/v1/records").status_code
            assert status in {200, 401}
            if began_after:
                late.append(status)
                return

    def revoke():
        time.sleep(0.03)  # among the reads, not before them
        assert shop.client.revoke(getattr(connected, which)).status_code == 200
        done.set()

    all_at_once(*[read] * (THREADS - 1), revoke)

    assert 200 not in late
    assert connected.get("/v1/records").status_code == 401


def test_no_token_is_issued_after_an_acknowledged_withdrawal_thr_15(shop, connected):
    """Nor does one that was issued at the same moment read anything."""
    done, issued = threading.Event(), []

    def refresh():
        for _ in range(4):
            began_after = done.is_set()
            answer = shop.client.refresh(connected.refresh_token)
            assert answer.status_code in {200, 400}
            if answer.status_code == 200:
                assert not began_after
                issued.append(answer.json()["access_token"])

    def withdraw():
        time.sleep(0.03)
        connected.withdraw()
        done.set()

    all_at_once(*[refresh] * (THREADS // 2), withdraw)

    for token in issued[-4:]:
        assert shop.get("/v1/records", token).status_code in {401, 403}
