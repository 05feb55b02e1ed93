"""Clients that organisations register with the operator's token (RFC 7591, THR-2, AL-14)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from api.oauth import registration, sweeping
from api.oauth.models import Client, RegistrationToken
from consent import organisations
from consent.models import Event
from consent.vocabulary import Standing
from pds.errors import ConflictError
from tests.support.oauth_client import Client as Program
from tests.support.oauth_client import new_key, public_jwks

CALLBACK = "https://client.example/cb"


@pytest.fixture
def allow(world, shop):
    """Let the operator hand out a token."""

    def allows(*, uses=1, days=7, to=shop):
        services = world.services
        now = services.clock.now()
        return services.uow.write(
            lambda session: registration.allow(
                session,
                to.id,
                services.log,
                uses=uses,
                now=now,
                expires_at=now + timedelta(days=days),
            )
        ).text()

    return allows


@pytest.fixture
def register(world):
    """Send metadata with a token."""

    def registers(token, key=None, **changed):
        document = {
            "token_endpoint_auth_method": "private_key_jwt",
            "client_name": "Xəzər kassa",
            "redirect_uris": [CALLBACK],
            "jwks": public_jwks(key or new_key("ES256", kid="k1")),
            **changed,
        }
        return world.http.post(
            "/oauth/register", json=document, headers={"Authorization": f"Bearer {token}"}
        )

    return registers


def registered_clients(world):
    with world.services.uow.read() as session:
        return session.scalars(select(Client.name).order_by(Client.created_at)).all()


def test_a_registered_client_runs_the_whole_flow_as_its_organisations(
    world, aysel, shop, allow, register
):
    key = new_key("ES256", kid="k1")
    answer = register(allow(), key)
    assert answer.status_code == 201, answer.text
    assert "secret" not in answer.text
    program = Program.of_metadata(
        world.http,
        answer.json()["client_id"],
        world.issuer,
        key,
        clock=lambda: world.services.clock.now().timestamp(),
    )
    shop = replace(shop, client=program)

    connected = world.connect(aysel, shop, shop.publish(required=["contact.email"]))

    assert connected.get("/v1/records").status_code == 200
    assert shop.get("/v1/organisation", shop.organisation_token()).json()["id"] == str(shop.id)


def test_people_see_its_name_in_their_language_cux_7(world, aysel, shop, allow, register):
    """RFC 7591 section 2.2: `client_name#az`, `client_name#en`, else `client_name`."""
    key = new_key("ES256", kid="k1")
    body = register(
        allow(), key, **{"client_name#az": "Xəzər kassası", "client_name#en": "Khazar till"}
    ).json()
    client = Program.of_metadata(
        world.http,
        body["client_id"],
        world.issuer,
        key,
        clock=lambda: world.services.clock.now().timestamp(),
    )
    template = shop.publish(required=["contact.email"])
    shop = replace(shop, client=client)
    uri, _ = world.push(shop, shop.details(template))
    pending = world.open_request(aysel, shop, uri)[0]

    shown = [
        world.services.agreements.show(
            aysel.visitor.vault, pending.ask, pending.details, pending.pushed_id, locale=locale
        )[1]["client"]["name"]
        for locale in ("az", "en")
    ]

    assert shown == ["Xəzər kassası", "Khazar till"]


def test_a_token_works_as_often_as_it_says_until_its_time_and_for_nobody_bad_thr_2(
    world, shop, clock, allow, register
):
    token = allow(uses=2)
    assert [register(token).status_code for _ in range(3)] == [201, 201, 401]

    late, good = allow(days=1), allow(days=30)
    clock.move(days=1)
    assert register(late).status_code == 401
    assert register(good[:-9] + "x" + good[-8:]).status_code == 401
    assert register(good.replace("pds_ir", "pds_ad")).status_code == 401

    services = world.services
    services.uow.write(
        lambda session: organisations.set_standing(session, shop.id, Standing.SUSPENDED)
    )
    assert register(good).status_code == 401
    with pytest.raises(ConflictError):
        allow()


def test_a_registration_that_is_refused_costs_no_use(allow, register):
    """SEC-S39"""
    token = allow()

    assert register(token, redirect_uris=["http://x.example"]).status_code == 400
    assert register(token).status_code == 201


def test_of_registrations_at_one_moment_as_many_get_through_as_there_are_uses(
    world, allow, register
):
    token = allow(uses=2)

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: register(token).status_code, range(6)))

    assert sorted(answers) == [201, 201, 401, 401, 401, 401]
    assert registered_clients(world).count("Xəzər kassa") == 2


def test_a_name_that_looks_like_anothers_is_refused_thr_2(world, allow, register):
    """Client or organisation, in any language and script; one's own name is one's own."""
    world.organisation("Kapital Bank")
    token = allow()

    for name in ("KapitaI Bank", "Kapital Bank app", "\u041aapital Bank", "kapıtal-bank"):
        answer = register(token, client_name=name)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_client_metadata")
        assert "Kapital" not in answer.text
    assert register(token, **{"client_name#en": "Kapital Bank"}).status_code == 400
    assert register(token, client_name="Xəzər Market").status_code == 201


def test_the_database_keeps_no_token_and_the_log_knows_of_both_acts(world, allow, register):
    token = allow()
    register(token)

    with world.services.uow.read() as session:
        (row,) = session.scalars(select(RegistrationToken)).all()
        names = session.scalars(select(Event.name)).all()
    assert row.uses_left == 0
    assert row.verifier.hex() not in token
    assert {"organisation.registration_allowed", "organisation.client_registered"} <= set(names)


def test_tokens_that_ran_out_are_swept(world, clock, allow):
    allow(days=1)
    clock.move(days=2)

    gone = world.services.uow.write(
        lambda session: sweeping.sweep(session, now=world.services.clock.now())
    )

    assert gone >= 1
    with world.services.uow.read() as session:
        assert session.scalars(select(RegistrationToken)).all() == []


def test_the_endpoint_is_in_the_metadata_and_takes_no_large_body(world, allow):
    document = world.http.get("/.well-known/oauth-authorization-server").json()

    assert document["registration_endpoint"] == world.url("/oauth/register")
    answer = world.http.post(
        "/oauth/register",
        content=b"x" * 70_000,
        headers={"Authorization": f"Bearer {allow()}", "Content-Type": "application/json"},
    )
    assert (answer.status_code, answer.json()["error"]) == (413, "invalid_request")


def test_a_client_has_the_grant_types_and_scopes_that_it_registered(world, allow, register):
    """RFC 7591 section 2: no token of its own, no scope, that it did not name."""
    key = new_key("ES256", kid="k1")

    def program(**asked):
        answer = register(allow(), key, **asked)
        return Program.of_metadata(
            world.http,
            answer.json()["client_id"],
            world.issuer,
            key,
            clock=lambda: world.services.clock.now().timestamp(),
        )

    reader = program(grant_types=["authorization_code"])
    assert reader.client_credentials("organisation").json()["error"] == "unauthorized_client"
    debtor = program(scope="obligations")
    assert debtor.client_credentials("organisation").json()["error"] == "invalid_scope"
    assert debtor.client_credentials("obligations").status_code == 200
