"""RFC 9449 sections 5 to 10: tokens bound to keys, at the authorization and resource server."""

import pytest

from tests.support.oauth_client import OMIT, jkt, new_key, pkce_pair
from tests.support.oauth_ext_server import ISSUER, World

NOTES = f"{ISSUER}/v1/notes"
TOKEN = f"{ISSUER}/token"
PAR = f"{ISSUER}/par"


@pytest.fixture(name="world")
def _world():
    return World()


def test_a_token_is_bound_and_named_dpop_d13_fapi_g4_fapi_g5_ext_3(world):
    body = world.tokens()

    assert body["token_type"] == "DPoP"
    assert world.client.get(NOTES, body["access_token"]).status_code == 200


def test_the_scheme_is_case_insensitive_oidf_9(world):
    token = world.tokens()["access_token"]

    assert world.client.get(NOTES, token, scheme="dpop").status_code == 200
    assert world.client.get(NOTES, token, scheme="DPOP").status_code == 200


def test_a_bound_token_sent_as_bearer_is_refused_dpop_d15_ext_5(world):
    answer = world.client.get(NOTES, world.tokens()["access_token"], scheme="Bearer")

    assert answer.status_code == 401
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]
    assert answer.headers["WWW-Authenticate"].startswith("DPoP ")


def test_a_stolen_token_is_useless_with_another_key_dpop_d12_fapi_r5_bcp_b7(world):
    token = world.tokens()["access_token"]
    thief = world.client.proof("GET", NOTES, key=new_key(), access_token=token)

    assert world.client.get(NOTES, token, proof=thief).status_code == 401


def test_a_proof_made_for_another_token_is_refused_dpop_d12(world):
    first, second = world.tokens()["access_token"], world.tokens()["access_token"]
    proof = world.client.proof("GET", NOTES, access_token=second)

    answer = world.client.get(NOTES, first, proof=proof)

    assert answer.status_code == 401
    assert 'error="invalid_dpop_proof"' in answer.headers["WWW-Authenticate"]


def test_a_proof_is_accepted_once_at_the_resource_dpop_d11_dpop_d23_ext_4(world):
    token = world.tokens()["access_token"]
    proof = world.client.proof("GET", NOTES, access_token=token)

    assert world.client.get(NOTES, token, proof=proof).status_code == 200
    assert world.client.get(NOTES, token, proof=proof).status_code == 401


@pytest.mark.parametrize("proof", [OMIT, "junk"])
def test_a_token_without_a_good_proof_is_refused_with_401_dpop_d19(world, proof):
    answer = world.client.get(NOTES, world.tokens()["access_token"], proof=proof)

    assert answer.status_code == 401
    assert 'error="invalid_dpop_proof"' in answer.headers["WWW-Authenticate"]
    assert answer.headers["Cache-Control"] == "no-store"


def test_no_credentials_no_error_code_dpop_d18_al_12(world):
    answer = world.http.get(NOTES)

    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == (
        'DPoP algs="ES256 PS256 EdDSA Ed25519", '
        f'resource_metadata="{ISSUER}/.well-known/oauth-protected-resource/v1"'
    )


def test_a_token_in_the_query_is_refused_fapi_r2_oidf_41(world):
    token = world.tokens()["access_token"]

    assert world.http.get(NOTES, params={"access_token": token}).status_code == 400


@pytest.mark.parametrize("value", ["DPoP", "DPoP a b", "DPoP a,b", "x", "DPoP " + "a" * 513])
def test_malformed_credentials_are_an_invalid_token_fapi_r4(world, value):
    answer = world.http.get(NOTES, headers={"Authorization": value.encode("latin-1")})

    assert answer.status_code == 401
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]


def test_insufficient_scope_is_403_fapi_r4(world):
    answer = world.client.get(f"{NOTES}?no=1", world.tokens()["access_token"])

    assert answer.status_code == 403
    assert 'error="insufficient_scope"' in answer.headers["WWW-Authenticate"]


def test_a_token_request_without_a_proof_is_refused_dpop_d16_oidf_20(world):
    code, verifier = world.code()

    answer = world.client.redeem(code, verifier, proof=OMIT)

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")


def test_a_missing_proof_does_not_cost_the_code_dpop_d16(world):
    code, verifier = world.code()
    world.client.redeem(code, verifier, proof=OMIT)

    assert world.client.redeem(code, verifier).status_code == 200


@pytest.mark.parametrize("grant", ["refresh_token", "client_credentials"])
def test_every_grant_needs_a_proof_dpop_d16_fapi_g4(world, grant):
    refresh = world.tokens()["refresh_token"]

    answer = (
        world.client.refresh(refresh, proof=OMIT)
        if grant == "refresh_token"
        else world.client.client_credentials("organisation", proof=OMIT)
    )

    assert answer.json()["error"] == "invalid_grant"


def test_a_bad_proof_is_400_at_the_token_endpoint_dpop_d19(world):
    code, verifier = world.code()
    proof = world.client.proof("POST", PAR)

    answer = world.client.redeem(code, verifier, proof=proof)

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_dpop_proof")
    assert answer.headers["Cache-Control"] == "no-store"


def test_a_proof_is_accepted_once_at_the_token_endpoint_dpop_d11(world):
    refresh = world.tokens()["refresh_token"]
    proof = world.client.proof("POST", TOKEN)

    assert world.client.refresh(refresh, proof=proof).status_code == 200
    assert world.client.refresh(refresh, proof=proof).json()["error"] == "invalid_dpop_proof"


def test_the_host_header_does_not_move_htu_al_16(world):
    proof = world.client.proof("POST", "https://evil.example/token")

    answer = world.client.post(
        "token",
        {"grant_type": "client_credentials", "scope": "organisation"},
        proof=proof,
        headers={"Host": "evil.example", "X-Forwarded-Host": "evil.example"},
    )

    assert answer.json()["error"] == "invalid_dpop_proof"


def test_dpop_jkt_binds_the_code_fapi_g12_oidf_12(world):
    client = world.client
    code, verifier = world.code(dpop_jkt=jkt(client.dpop_key))
    bound, bound_verifier = world.code(dpop_jkt=jkt(new_key()))

    assert client.redeem(code, verifier).status_code == 200
    assert client.redeem(bound, bound_verifier).json()["error"] == "invalid_grant"


def test_a_proof_at_par_binds_the_code_fapi_g12_oidf_13_oidf_14(world):
    client = world.client
    code, verifier = world.code(proof=client.proof("POST", PAR))
    stolen, stolen_verifier = world.code(proof=client.proof("POST", PAR))
    thief = client.proof("POST", TOKEN, key=new_key())

    assert client.redeem(code, verifier).status_code == 200
    refused = client.redeem(stolen, stolen_verifier, proof=thief)
    assert refused.json()["error"] == "invalid_grant"


def test_parameter_and_proof_that_agree_are_accepted_at_par_dpop_d17(world):
    client = world.client

    code, verifier = world.code(proof=client.proof("POST", PAR), dpop_jkt=jkt(client.dpop_key))

    assert client.redeem(code, verifier).status_code == 200


def test_parameter_and_proof_that_disagree_are_refused_at_par_dpop_d17(world):
    answer = world.client.push(
        pkce_pair()[1], proof=world.client.proof("POST", PAR), dpop_jkt=jkt(new_key())
    )

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


def test_a_bad_proof_at_par_is_refused_dpop_d17_d19(world):
    answer = world.client.push(pkce_pair()[1], proof=world.client.proof("POST", TOKEN))

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_dpop_proof")


@pytest.mark.parametrize("value", ["x", "A" * 44, "A" * 42 + "="])
def test_a_dpop_jkt_that_is_no_thumbprint_is_refused_section_10(world, value):
    assert world.client.push(pkce_pair()[1], dpop_jkt=value).status_code == 400


def test_an_unbound_code_takes_any_key_of_its_client_fapi_g12(world):
    code, verifier = world.code()
    other_key = new_key("Ed25519")
    proof = world.client.proof("POST", TOKEN, key=other_key)

    body = world.client.redeem(code, verifier, proof=proof).json()

    introspected = world.client.introspect(body["access_token"]).json()
    assert introspected["cnf"] == {"jkt": jkt(other_key)}


def test_a_refresh_token_is_bound_to_the_client_not_the_key_dpop_d21(world):
    refresh = world.tokens()["refresh_token"]
    new = new_key()

    body = world.client.refresh(refresh, proof=world.client.proof("POST", TOKEN, key=new)).json()

    proof = world.client.proof("GET", NOTES, key=new, access_token=body["access_token"])
    assert world.client.get(NOTES, body["access_token"], proof=proof).status_code == 200


def test_a_refresh_token_that_names_a_key_needs_it_dec_1(world):
    refresh = world.tokens()["refresh_token"]
    world.bind_refresh_token(refresh, jkt(world.client.dpop_key))

    refused = world.client.refresh(refresh, proof=world.client.proof("POST", TOKEN, key=new_key()))

    assert refused.json()["error"] == "invalid_grant"
    assert world.client.refresh(refresh).status_code == 200
