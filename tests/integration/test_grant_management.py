"""Grant management of agreements: merge, create, query, revoke (GM-M3 to GM-M11, P-13, P-29)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import select

from api import checking
from consent import notices
from consent.errors import GrantGoneError, NoticeChangedError
from consent.models import Agreement, Grant, Obligation
from tests.support.oauth_client import pkce_pair
from tests.support.reading import page, values

EMAIL, NAME, PHONE, CITY = (
    "contact.email",
    "profile.given_name",
    "contact.phone",
    "addresses.locality",
)
MERGE, CREATE = "merge", "create"


@pytest.fixture(autouse=True)
def consistent(world):
    """Hold the rows that a test leaves against every invariant."""
    yield
    assert list(checking.violations(world.services.uow)) == []


@pytest.fixture
def aysel(world):
    person = world.person()
    person.save("contact", email="a@example.com", phone="+994501112233")
    person.save("profile", given_name="Aysel")
    return person


@pytest.fixture
def template(shop):
    return shop.publish(required=[EMAIL], optional=[NAME, PHONE, CITY])


@pytest.fixture
def connected(world, aysel, shop, template):
    """An agreement about e-mail and phone; the name was asked for and left out."""
    return world.connect(aysel, shop, template, optional=[PHONE], ask={"optional": [NAME, PHONE]})


@pytest.fixture
def managed(world, aysel, shop, template):
    """Push and open a request that manages a grant; gives that, its verifier, and its URI."""

    def pushes(action, grant_id=None, *, optional=(), person=aysel):
        verifier, challenge = pkce_pair()
        named = {"grant_id": grant_id} if grant_id else {}
        answer = shop.client.push(
            challenge,
            details=shop.details(template, optional=list(optional)),
            grant_management_action=action,
            **named,
        )
        assert answer.status_code == 201, answer.text
        uri = answer.json()["request_uri"]
        return world.open_request(person, shop, uri), verifier, uri

    return pushes


@pytest.fixture
def call(world, shop):
    """Call the API with a token of its scope, or of another."""

    def calls(method, grant_id, *, scope=None, by=shop):
        wanted = {"GET": "grant_management_query", "DELETE": "grant_management_revoke"}[method]
        token = by.client.client_credentials(scope or wanted).json()["access_token"]
        return by.client.request(method, world.url(f"/oauth/grants/{grant_id}"), token)

    return calls


def redeemed(shop, callback, verifier):
    answer = shop.client.redeem(callback["code"], verifier)
    assert answer.status_code == 200, answer.text
    return answer.json()


def is_dead(shop, refresh_token):
    answer = shop.client.refresh(refresh_token)
    return (answer.status_code, answer.json().get("error")) == (400, "invalid_grant")


def test_a_merge_adds_to_the_grant_and_takes_nothing_away_p13(
    world, aysel, shop, connected, managed
):
    """GM-M5: what is shared and not asked for again stays; the grant, connection and key, too."""
    opened, verifier, _ = managed(MERGE, connected.body["grant_id"], optional=[CITY])
    pending, request, _ = opened
    assert pending.ask.optional == (CITY, PHONE)
    body = redeemed(shop, world.allow(aysel, opened, optional=[CITY, PHONE]), verifier)

    (granted,), (before,) = body["authorization_details"], connected.body["authorization_details"]
    assert granted["attributes"] == [EMAIL, CITY, PHONE]
    assert body["grant_id"] == connected.body["grant_id"]
    assert granted["connection"] == before["connection"]
    assert granted["agreement_version"] == 2
    assert request.asked["optional_attributes"] == [CITY, PHONE]
    widened = replace(connected, access_token=body["access_token"])
    assert values(page(widened), "email") == ["a@example.com"]


def test_what_the_person_took_away_is_not_asked_for_by_a_merge_p13(
    world, aysel, shop, connected, managed
):
    """The name was left out: it comes back only if it is asked for, and then is not ticked."""
    opened, *_ = managed(MERGE, connected.body["grant_id"])
    assert NAME not in (*opened[0].ask.required, *opened[0].ask.optional)

    opened, verifier, _ = managed(MERGE, connected.body["grant_id"], optional=[NAME])
    body = redeemed(shop, world.allow(aysel, opened, optional=[PHONE]), verifier)

    assert body["authorization_details"][0]["attributes"] == [EMAIL, PHONE]


def test_refresh_tokens_end_as_the_code_of_a_merge_is_redeemed_and_not_before_gm_m5(
    world, aysel, shop, connected, managed
):
    opened, verifier, _ = managed(MERGE, connected.body["grant_id"], optional=[CITY])
    callback = world.allow(aysel, opened, optional=[CITY, PHONE])
    assert shop.client.refresh(connected.refresh_token).status_code == 200

    body = redeemed(shop, callback, verifier)

    assert is_dead(shop, connected.refresh_token)
    assert shop.client.refresh(body["refresh_token"]).status_code == 200


def test_an_amendment_without_grant_management_ends_no_refresh_token_dec_1(
    world, aysel, shop, connected, template
):
    again = world.connect(aysel, shop, template, optional=[PHONE, CITY])

    assert again.body["grant_id"] == connected.body["grant_id"]
    assert shop.client.refresh(connected.refresh_token).status_code == 200


def test_a_merge_into_another_persons_grant_is_refused_gm_m3(world, shop, connected, managed):
    """Neither shown nor decided, whether or not the other person shares with the organisation."""
    leyla = world.person("leyla")
    with pytest.raises(GrantGoneError):
        managed(MERGE, connected.body["grant_id"], person=leyla)

    hers = world.connect(leyla, shop, connected.template)
    with pytest.raises(GrantGoneError):
        managed(MERGE, connected.body["grant_id"], person=leyla)
    with pytest.raises(GrantGoneError):
        managed(MERGE, hers.body["grant_id"])


def test_a_merge_into_a_grant_that_ends_meanwhile_decides_nothing_gm_m3(
    world, aysel, connected, managed
):
    opened, *_ = managed(MERGE, connected.body["grant_id"], optional=[CITY])
    connected.withdraw()

    with pytest.raises(GrantGoneError):
        world.allow(aysel, opened)
    with world.services.uow.read() as session:
        assert len(session.scalars(select(Agreement)).all()) == 1


def test_a_grant_that_is_not_there_and_one_that_is_not_yours_are_one_error_gm_m3(
    world, shop, connected, template
):
    grant_id = connected.body["grant_id"]

    def answers(by, text):
        answer = by.client.push(
            pkce_pair()[1],
            details=by.details(template),
            grant_management_action=MERGE,
            grant_id=text,
        )
        return answer.status_code, answer.json()

    refused = (
        400,
        {"error": "invalid_grant_id", "error_description": "there is no such grant"},
    )
    assert answers(shop.another_client(), grant_id) == refused
    assert answers(world.organisation("Other"), grant_id) == refused
    assert answers(shop, grant_id.upper()) == refused
    connected.withdraw()
    assert answers(shop, grant_id) == refused


def test_a_merge_of_another_template_is_refused_rar_x2(shop, connected):
    other = shop.publish(required=[EMAIL])

    answer = shop.client.push(
        pkce_pair()[1],
        details=shop.details(other),
        grant_management_action=MERGE,
        grant_id=connected.body["grant_id"],
    )

    assert answer.json()["error"] == "invalid_authorization_details"


def test_create_makes_a_fresh_grant_in_the_place_of_the_one_that_stands_p29(
    world, aysel, shop, connected, managed
):
    """One agreement of a connection lives: the new one names the old, whose tokens are dead."""
    opened, verifier, _ = managed(CREATE, optional=[PHONE])
    body = redeemed(shop, world.allow(aysel, opened, optional=[PHONE]), verifier)

    (granted,), (before,) = body["authorization_details"], connected.body["authorization_details"]
    assert body["grant_id"] != connected.body["grant_id"]
    assert granted["connection"] == before["connection"]
    assert granted["agreement_version"] == 1
    assert connected.get("/v1/records").status_code in {401, 403}
    assert is_dead(shop, connected.refresh_token)
    with world.services.uow.read() as session:
        states = dict(session.execute(select(Agreement.id, Agreement.state)).all())
        assert sorted(states.values()) == ["active", "terminated"]
        made = session.scalars(select(Agreement).where(Agreement.state == "active")).one()
        assert made.supersedes == connected.agreement_id
        assert session.scalars(select(Obligation)).all() == []


def test_create_where_none_stands_is_a_first_agreement(world, aysel, shop, managed):
    opened, verifier, _ = managed(CREATE)

    body = redeemed(shop, world.allow(aysel, opened), verifier)

    assert body["authorization_details"][0]["agreement_version"] == 1


def test_a_create_that_is_refused_leaves_the_agreement_that_stands(
    world, aysel, connected, managed
):
    opened, *_ = managed(CREATE)
    assert "error" in world.refuse(aysel, opened)

    assert connected.get("/v1/records").status_code == 200


def test_the_notice_of_a_create_says_what_it_replaces_p28(world, aysel, connected, managed):
    """And an agreement that changes meanwhile has the page shown again."""
    opened, *_ = managed(CREATE, optional=[PHONE])
    with world.services.uow.read() as session:
        amends = notices.find(session, opened[2])["amends"]
    assert amends["is_replaced"] is True
    assert amends["agreement"] == str(connected.agreement_id)

    connected.withdraw()

    with pytest.raises(NoticeChangedError):
        world.allow(aysel, opened)


def test_a_token_answer_names_a_grant_that_says_nothing_of_its_person_gm_m4(connected):
    body = connected.body

    assert len(set(body["grant_id"])) > 8
    assert body["grant_id"] not in str(body["authorization_details"])


def test_the_grant_id_is_in_no_redirect_gm_m4(world, aysel, connected, managed):
    opened, *_ = managed(MERGE, connected.body["grant_id"])

    callback = world.allow(aysel, opened, optional=[PHONE])

    assert connected.body["grant_id"] not in str(callback.parameters)


def test_a_query_tells_what_the_grant_covers_and_no_token_gm_m8(connected, call):
    answer = call("GET", connected.body["grant_id"])

    body = answer.json()
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    assert body["authorization_details"] == connected.body["authorization_details"]
    assert body["updated_by"] == "individual"
    assert body["created_at"] <= body["last_updated_at"] < body["expires_at"]
    assert (body["scopes"], body["claims"]) == ([], [])
    assert "pds_" not in answer.text


def test_a_paused_grant_is_there_and_says_since_when_gm_m8(world, aysel, connected, call, clock):
    clock.move(hours=1)
    world.services.pauses.pause(aysel.visitor.vault, connected.agreement_id)

    body = call("GET", connected.body["grant_id"]).json()

    assert body["last_updated_at"] - body["created_at"] >= 3600


def test_revoking_ends_agreement_grant_and_every_token_gm_m9(world, shop, connected, call):
    """In one transaction, with what a termination owes; the next request finds nothing."""
    answer = call("DELETE", connected.body["grant_id"])

    assert (answer.status_code, answer.content) == (204, b"")
    assert connected.get("/v1/records").status_code in {401, 403}
    assert is_dead(shop, connected.refresh_token)
    assert shop.client.introspect(connected.access_token).json() == {"active": False}
    with world.services.uow.read() as session:
        assert session.scalars(select(Agreement.state)).all() == ["terminated"]
        assert session.scalars(select(Grant.state)).all() == ["revoked"]
        assert "delete" in session.scalars(select(Obligation.kind)).all()
    assert call("DELETE", connected.body["grant_id"]).status_code == 404


def test_not_yours_and_not_there_are_the_same_404_gm_m10(world, shop, connected, call):
    grant_id = connected.body["grant_id"]

    def answers(text, by=shop):
        found = [call(method, text, by=by) for method in ("GET", "DELETE")]
        assert [answer.status_code for answer in found] == [404, 404]
        return {answer.text for answer in found}

    same = answers(grant_id, shop.another_client())
    same |= answers(grant_id, world.organisation("Other"))
    same |= answers(grant_id.upper())
    same |= answers("0" * 32)
    assert connected.get("/v1/records").status_code == 200
    connected.withdraw()
    same |= answers(grant_id)
    assert len(same) == 1


def test_each_action_takes_its_own_scope_gm_m7_gm_m10(connected, call):
    for method, scope in (
        ("GET", "organisation"),
        ("GET", "grant_management_revoke"),
        ("DELETE", "grant_management_query"),
        ("DELETE", "organisation obligations"),
    ):
        answer = call(method, connected.body["grant_id"], scope=scope)
        assert answer.status_code == 403
        assert 'error="insufficient_scope"' in answer.headers["WWW-Authenticate"]

    assert connected.get("/v1/records").status_code == 200


def test_a_grants_own_token_manages_nothing_gm_m7(world, shop, connected):
    url = world.url(f"/oauth/grants/{connected.body['grant_id']}")

    assert shop.client.get(url, connected.access_token).status_code == 403


def test_without_a_token_or_its_key_it_is_a_401_gm_m10(world, shop, connected):
    url = world.url(f"/oauth/grants/{connected.body['grant_id']}")
    token = shop.client.client_credentials("grant_management_query").json()["access_token"]

    assert world.http.get(url).status_code == 401
    answer = shop.client.get(url, token, scheme="Bearer")
    assert answer.status_code == 401
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]


def test_a_management_token_reads_nothing_else_gm_m7(shop):
    token = shop.client.client_credentials("grant_management_query grant_management_revoke").json()[
        "access_token"
    ]

    assert shop.get("/v1/organisation", token).status_code == 403
    assert shop.get("/v1/records", token).status_code in {401, 403}


def test_the_metadata_names_what_there_is_gm_m11(world):
    document = world.http.get("/.well-known/oauth-authorization-server").json()

    assert document["grant_management_endpoint"] == world.url("/oauth/grants")
    assert set(document["grant_management_actions_supported"]) == {
        "create",
        "merge",
        "query",
        "revoke",
    }
    assert document["grant_management_action_required"] is False
    assert {"grant_management_query", "grant_management_revoke"} <= set(
        document["scopes_supported"]
    )


def test_a_merge_that_is_opened_again_asks_for_what_was_agreed_meanwhile(
    world, aysel, shop, connected, managed
):
    """P-27: else its row would ask for less than its agreement covers."""
    *_, verifier, uri = managed(MERGE, connected.body["grant_id"])
    world.connect(aysel, shop, connected.template, optional=[PHONE, CITY])

    opened = world.open_request(aysel, shop, uri)
    body = redeemed(shop, world.allow(aysel, opened, optional=[PHONE, CITY]), verifier)

    assert opened[1].asked["optional_attributes"] == [PHONE, CITY]
    assert body["authorization_details"][0]["attributes"] == [EMAIL, PHONE, CITY]
