"""Keys behind a `jwks_uri`: fetched, kept for a time, rotated without a gap (THR-8, FAPI-C7)."""

from __future__ import annotations

import threading
from datetime import timedelta
from uuid import UUID

import pytest

from api.oauth import clients, registration
from api.oauth.remote_keys import AT_ONCE, RemoteKeys
from api.outgoing.fetching import FetchError
from consent.vocabulary import FreezeReason
from pds.errors import ConflictError, ValidationFailedError
from tests.support.oauth_client import Client, new_key, public_jwks
from tests.support.publishing import publishing


@pytest.fixture
def publisher():
    with publishing() as publisher:
        yield publisher


@pytest.fixture
def key():
    return new_key("ES256", kid="one")


@pytest.fixture
def token(world, shop):
    """A registration token with many uses."""
    services = world.services
    now = services.clock.now()
    return services.uow.write(
        lambda session: registration.allow(
            session, shop.id, services.log, uses=9, now=now, expires_at=now + timedelta(days=30)
        )
    ).text()


@pytest.fixture
def register(world, token):
    def registers(url):
        return world.http.post(
            "/oauth/register",
            json={
                "token_endpoint_auth_method": "private_key_jwt",
                "client_name": "Kassa",
                "redirect_uris": ["https://client.example/cb"],
                "jwks_uri": url,
            },
            headers={"Authorization": f"Bearer {token}"},
        )

    return registers


@pytest.fixture
def program(world, publisher, register, key):
    """A client that publishes its key."""
    publisher.publish(key)
    answer = register(publisher.url)
    assert answer.status_code == 201, answer.text
    assert answer.json()["jwks_uri"] == publisher.url
    assert "jwks" not in answer.json()
    return Client.of_metadata(
        world.http,
        answer.json()["client_id"],
        world.issuer,
        key,
        clock=lambda: world.services.clock.now().timestamp(),
    )


def works(program, key=None):
    answer = program.client_credentials("organisation", assertion=program.assertion(key=key))
    if answer.status_code != 200:
        assert answer.json()["error"] == "invalid_client"
    return answer.status_code == 200


def test_the_set_is_fetched_at_registration_and_kept(program, publisher):
    assert works(program)
    assert works(program)
    assert publisher.asked == 1


def test_a_new_key_works_at_once_and_the_old_one_beside_it(program, publisher, key):
    """Rotation with overlap, without downtime; another kid is what has the set fetched again."""
    new = new_key("ES256", kid="two")
    publisher.publish(key, new)

    assert works(program, new)
    assert works(program)
    assert publisher.asked == 2


def test_a_key_that_is_published_no_more_is_refused_after_its_time_thr_8(program, publisher, clock):
    publisher.publish(new_key("ES256", kid="two"))
    assert works(program)

    clock.move(minutes=10)

    assert not works(program)
    assert publisher.asked == 2


def test_unknown_kids_have_it_fetched_at_most_every_30_seconds_thr_8(program, publisher, clock):
    for _ in range(5):
        assert not works(program, new_key("ES256", kid="unknown"))
    assert publisher.asked == 2

    clock.move(seconds=31)
    assert not works(program, new_key("ES256", kid="unknown"))
    assert publisher.asked == 3


def test_a_known_kid_with_another_key_has_nothing_fetched(program, publisher):
    assert not works(program, new_key("ES256", kid="one"))
    assert publisher.asked == 1


def test_a_publisher_that_is_away_is_borne_for_a_time_and_not_longer_thr_8(
    program, publisher, clock
):
    """Keys past their time are not used; they work again once they can be fetched."""
    publisher.status = 503
    assert works(program)
    clock.move(minutes=10)
    assert not works(program)

    publisher.status = 200
    assert not works(program)
    clock.move(seconds=31)

    assert works(program)


def test_what_is_no_set_that_may_be_registered_does_not_replace_one_that_is(
    program, publisher, key
):
    publisher.document = {"keys": [key.as_dict(private=True)]}
    assert not works(program, new_key("ES256", kid="two"))

    assert works(program)


def test_documents_are_signed_by_keys_that_are_in_time(world, shop, publisher, program, clock):
    """A template or deletion receipt is checked with the same sets."""
    signing = new_key("Ed25519", kid="sign")
    publisher.publish(program.key, signing)
    assert works(program, signing)

    def known():
        with world.services.uow.read() as session:
            return clients.signing_keys(session, shop.id, now=world.services.clock.now())

    assert "sign" in known()
    clock.move(minutes=10)
    assert "sign" not in known()


def test_a_client_that_publishes_has_no_keys_rotated_for_it(world, program):
    with pytest.raises(ValidationFailedError):
        world.services.uow.write(
            lambda session: clients.rotate_keys(
                session, UUID(program.client_id), public_jwks(new_key("ES256", kid="x"))
            )
        )


def test_a_uri_without_keys_registers_nothing_and_tells_nothing_thr_8(register, publisher):
    """SEC-S39: whatever stands behind an address, the answer is the same."""
    publisher.document = {"keys": []}
    answers = [
        register(publisher.url),
        register("http://127.0.0.1:1/jwks"),
        register("https://10.0.0.1/jwks"),
        register("https://169.254.169.254/latest/meta-data"),
    ]
    publisher.status = 302
    answers.append(register(publisher.url))

    assert {answer.status_code for answer in answers} == {400}
    assert len({answer.text for answer in answers}) == 1
    assert answers[0].json()["error"] == "invalid_client_metadata"


def test_only_a_few_are_fetched_at_one_moment_thr_8_thr_18(world):
    """Each takes a thread for up to five seconds."""
    inside, go_on = threading.Semaphore(0), threading.Event()

    def fetch(_url):
        inside.release()
        go_on.wait(10)
        raise FetchError

    keys = RemoteKeys(world.services.uow, world.services.clock, fetch)

    def read():
        with pytest.raises(FetchError):
            keys.read("https://client.example/jwks")

    threads = [threading.Thread(target=read) for _ in range(AT_ONCE)]
    for thread in threads:
        thread.start()
    for _ in threads:
        assert inside.acquire(timeout=10)

    read()
    assert not inside.acquire(blocking=False)
    go_on.set()
    for thread in threads:
        thread.join()


def test_keys_of_a_frozen_organisation_are_no_more_believed_where_they_are_published(
    world, shop, publisher, program, key
):
    """P-30, THR-8: also where they are published still, beside new ones."""
    freezing = world.services.freezing
    freezing.freeze(shop.id, reason=FreezeReason.KEYS_STOLEN)
    with pytest.raises(ConflictError):
        freezing.thaw(shop.id, freezing.keys(shop.id))
    fresh = new_key("ES256", kid="two")
    publisher.publish(key, fresh)
    with world.services.uow.read() as session:
        clients_of = [each.id for each in clients.of_organisation(session, shop.id)]
    other = [each for each in clients_of if str(each) != program.client_id]
    for each in other:
        world.services.uow.write(
            lambda session, each=each: clients.rotate_keys(session, each, public_jwks(fresh))
        )
    world.services.clock.move(seconds=31)
    assert freezing.thaw(shop.id, freezing.keys(shop.id)) is True

    assert works(program, fresh)
    assert not works(program, key)
