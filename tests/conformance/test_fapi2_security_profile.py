"""FAPI 2.0 Security Profile: the modules of the OpenID plan, end to end on the small server.

Modules that one RFC decides stand with that RFC; here are the journeys and what is left.
"""

import pytest

from tests.support.oauth_client import OMIT, Callback, new_key, pkce_pair
from tests.support.oauth_ext_server import CALLBACK, ISSUER, World, build_server

NOTES = f"{ISSUER}/v1/notes"


@pytest.fixture(name="world")
def _world():
    return World()


@pytest.mark.parametrize("algorithm", ["ES256", "PS256", "Ed25519"])
def test_the_happy_flow_with_each_algorithm_oidf_2_fapi_c2(world, algorithm):
    client = world.register("client-3", key=new_key(algorithm))
    client.dpop_key = new_key(algorithm)

    body = world.tokens(client, scope="organisation")

    assert client.get(NOTES, body["access_token"]).json() == {"notes": ["hello"], "sub": "alice"}
    refreshed = client.refresh(body["refresh_token"]).json()
    assert client.get(NOTES, refreshed["access_token"]).status_code == 200
    client.revoke(refreshed["access_token"])
    assert client.get(NOTES, refreshed["access_token"]).status_code == 401


def test_the_owner_may_refuse_and_the_request_is_over_oidf_3_dec_5(world):
    uri = world.pushed(world.client, pkce_pair()[1])

    refused = world.decide(world.client, uri, "refuse")

    assert Callback.of(refused.headers["Location"])["error"] == "access_denied"
    assert world.decide(world.client, uri).status_code == 400


@pytest.mark.parametrize("scope", ["organisation audit", "audit organisation"])
def test_the_order_of_scopes_does_not_matter_oidf_8(world, scope):
    client = world.register("client-3", scopes=frozenset({"audit", "organisation"}))

    assert set(world.tokens(client, scope=scope)["scope"].split()) == {"audit", "organisation"}


@pytest.mark.parametrize("nonce", [OMIT, "n" * 64])
def test_a_nonce_is_not_needed_and_does_no_harm_oidf_5_oidf_6_fapi_a14(world, nonce):
    assert world.tokens(nonce=nonce)["token_type"] == "DPoP"


def test_what_is_asked_for_in_the_wrong_way_is_answered_as_ext_5_says(world):
    client, (verifier, challenge) = world.client, pkce_pair()
    pushed = client.push(challenge)
    back = Callback.of(world.decide(client, pushed.json()["request_uri"]).headers["Location"])
    tokens = client.redeem(back["code"], verifier)
    bearer = client.get(NOTES, tokens.json()["access_token"], scheme="Bearer")
    listed = client.push(challenge, assertion=client.assertion(claims={"aud": [ISSUER]}))
    unpushed = world.http.get(f"{ISSUER}/authorize", params=client.request_parameters(challenge))

    assert (pushed.status_code, tokens.status_code, bearer.status_code) == (201, 200, 401)
    assert set(back.parameters) == {"code", "state", "iss"}
    assert (listed.status_code, listed.json()["error"]) == (400, "invalid_client")
    assert (unpushed.status_code, unpushed.json()["error"]) == (400, "invalid_request")


def test_the_answer_goes_to_the_pushed_redirect_uri_only_fapi_g7_bcp_b2(world):
    uri = world.pushed(world.client, pkce_pair()[1])

    location = world.decide(world.client, uri).headers["Location"]

    assert location.startswith(f"{CALLBACK}?")


@pytest.mark.parametrize(
    "config",
    [
        {"access_token_seconds": 299},
        {"access_token_seconds": 601},
        {"code_seconds": 61},
        {"code_seconds": 0},
        {"request_uri_seconds": 600},
        {"request_uri_seconds": 0},
        {"issuer": "https://as.example/"},
    ],
)
def test_lifetimes_outside_the_profile_are_no_configuration_dec_8_fapi_a12(world, config):
    with pytest.raises(ValueError, match=r"seconds|slash"):
        build_server(world.memory, **config)


def test_htu_is_under_the_base_url_where_it_is_not_the_issuer_al_16():
    world = World(base_url="https://public.example/mounted")
    form = {"grant_type": "client_credentials", "scope": "organisation"}
    inner = world.client.proof("POST", f"{ISSUER}/token")
    public = world.client.proof("POST", "https://public.example/mounted/token")

    assert world.client.post("token", form, proof=inner).status_code == 400
    assert world.client.post("token", form, proof=public).status_code == 200


def test_no_endpoint_answers_to_cors_fapi_n3_bcp_b14(world):
    answer = world.http.get(f"{ISSUER}/authorize", headers={"Origin": "https://evil.example"})

    assert not [name for name in answer.headers if name.startswith("access-control")]
