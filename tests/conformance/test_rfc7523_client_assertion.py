"""RFC 7523 as FAPI 2.0 narrows it: client authentication by `private_key_jwt` only."""

import base64

import pytest

from tests.support.oauth_client import (
    ASSERTION_TYPE,
    OMIT,
    b64u,
    new_key,
    private_key_jwt,
    public_jwks,
)
from tests.support.oauth_ext_server import ISSUER, World

TOKEN = f"{ISSUER}/token"
SCOPE = "organisation"


@pytest.fixture(name="world")
def _world():
    return World()


def answer_to(world, **tampered):
    return world.client.client_credentials(SCOPE, assertion=world.client.assertion(**tampered))


def is_refused(answer):
    return answer.status_code == 400 and answer.json()["error"] == "invalid_client"


@pytest.mark.parametrize("algorithm", ["ES256", "PS256", "EdDSA", "Ed25519"])
def test_each_accepted_algorithm_authenticates_al_5_fapi_c2(world, algorithm):
    client = world.register("client-3", key=new_key(algorithm))

    answer = client.client_credentials(SCOPE, assertion=client.assertion(header={"alg": algorithm}))

    assert answer.status_code == 200


def test_rs256_is_refused_although_the_key_would_do_oidf_24_al_5(world):
    client = world.register("client-3", key=new_key("PS256"))

    assert is_refused(
        client.client_credentials(SCOPE, assertion=client.assertion(header={"alg": "RS256"}))
    )


@pytest.mark.parametrize("algorithm", ["none", "HS256", "ES384", "", 7, None])
def test_other_algorithms_are_refused_fapi_c3(world, algorithm):
    head, payload, signature = world.client.assertion().split(".")
    del head

    for forged in (f"{payload}.{signature}", f"{payload}."):
        header = b64u(b'{"alg":%s}' % _json(algorithm))
        assert is_refused(world.client.client_credentials(SCOPE, assertion=f"{header}.{forged}"))


def _json(value):
    return {None: b"null", 7: b"7"}.get(value) or f'"{value}"'.encode()


def test_a_missing_assertion_is_refused_oidf_25(world):
    assert is_refused(world.client.client_credentials(SCOPE, assertion=OMIT))


@pytest.mark.parametrize("assertion", ["x", "a.b.c", "e30.e30.e30", "é.é.é", "A" * 9000])
def test_what_is_no_jwt_is_refused(world, assertion):
    assert is_refused(world.client.client_credentials(SCOPE, assertion=assertion))


@pytest.mark.parametrize("kind", ["urn:x", "", OMIT])
def test_another_assertion_type_is_refused(world, kind):
    answer = world.client.post(
        "token",
        {
            "grant_type": "client_credentials",
            "scope": SCOPE,
            "client_assertion": world.client.assertion(),
            "client_assertion_type": kind,
        },
        assertion=OMIT,
    )

    assert is_refused(answer)


@pytest.mark.parametrize(
    "audience",
    [
        f"{ISSUER}/token",
        f"{ISSUER}/par",
        f"{ISSUER}/",
        "https://other.example",
        [ISSUER],
        [ISSUER, "https://other.example"],
        None,
        OMIT,
    ],
)
def test_aud_is_the_issuer_as_one_string_fapi_g8_oidf_27_oidf_39_al_6_dec_3(world, audience):
    assert is_refused(answer_to(world, claims={"aud": audience}))


@pytest.mark.parametrize(
    "subject", [OMIT, "client-2", "nobody", "", 7, ["client-1"], "ə", "\ud800"]
)
def test_sub_is_the_client_that_signed_oidf_28(world, subject):
    assert is_refused(answer_to(world, claims={"sub": subject}))


@pytest.mark.parametrize("issuer", [OMIT, "client-2", ISSUER, 7])
def test_iss_is_the_client(world, issuer):
    assert is_refused(answer_to(world, claims={"iss": issuer}))


def test_a_client_id_in_the_body_must_agree_al_6_oidf_19(world):
    form = {"grant_type": "client_credentials", "scope": SCOPE}

    assert world.client.post("token", {**form, "client_id": "client-1"}).status_code == 200
    assert is_refused(world.client.post("token", {**form, "client_id": "client-2"}))


@pytest.mark.parametrize("offset", [-300, -1, 0, 601, 31_536_000])
def test_exp_past_or_far_ahead_is_refused_oidf_26(world, offset):
    assert is_refused(answer_to(world, claims={"exp": world.memory.time + offset}))


@pytest.mark.parametrize("value", [OMIT, None, "1900000000", True, [], 1e999])
def test_exp_must_be_a_number(world, value):
    assert is_refused(answer_to(world, claims={"exp": value}))


@pytest.mark.parametrize("name", ["iat", "nbf"])
def test_iat_and_nbf_may_run_ten_seconds_ahead_fapi_g13_oidf_33_al_6(world, name):
    now = world.memory.time

    assert answer_to(world, claims={name: now + 8}).status_code == 200
    assert answer_to(world, claims={name: now + 10}).status_code == 200
    assert is_refused(answer_to(world, claims={name: now + 11}))
    assert is_refused(answer_to(world, claims={name: now + 61}))
    assert is_refused(answer_to(world, claims={name: "soon"}))


def test_iat_may_be_absent_rfc7523_section_3(world):
    assert answer_to(world, claims={"iat": OMIT}).status_code == 200


def test_an_assertion_authenticates_once_thr_9_atk_a5(world):
    assertion = world.client.assertion()

    assert world.client.client_credentials(SCOPE, assertion=assertion).status_code == 200
    assert is_refused(world.client.client_credentials(SCOPE, assertion=assertion))


def test_an_assertion_used_at_one_endpoint_is_used_at_all_thr_9(world):
    assertion = world.client.assertion()
    world.client.client_credentials(SCOPE, assertion=assertion)

    answer = world.client.post("introspection", {"token": "x"}, assertion=assertion, proof=OMIT)

    assert is_refused(answer)


def test_a_token_request_that_is_refused_uses_up_assertion_and_proof_thr_9_dpop_d11(world):
    """Nothing was issued, and still what went by on the wire is good for nothing."""
    client = world.client
    signed = {"assertion": client.assertion(), "proof": client.proof("POST", TOKEN)}
    assert client.refresh("rt.unknown", **signed).json()["error"] == "invalid_grant"

    assert is_refused(client.refresh(world.tokens()["refresh_token"], **signed))
    fresh = {**signed, "assertion": client.assertion()}
    answer = client.refresh(world.tokens()["refresh_token"], **fresh)
    assert answer.json()["error"] == "invalid_dpop_proof"


def test_a_refused_proof_uses_up_the_assertion_thr_9(world):
    assertion = world.client.assertion()
    stale = world.client.proof("POST", TOKEN, claims={"iat": 0})
    answer = world.client.client_credentials(SCOPE, assertion=assertion, proof=stale)
    assert answer.json()["error"] == "invalid_dpop_proof"

    assert is_refused(world.client.client_credentials(SCOPE, assertion=assertion))


def test_a_fault_of_ours_uses_up_assertion_and_proof_as_well_thr_9(world):
    signed = {"assertion": world.client.assertion(), "proof": world.client.proof("POST", TOKEN)}
    issue = world.server.issue_tokens

    def fail(_request):
        raise RuntimeError

    world.server.issue_tokens = fail
    assert world.client.client_credentials(SCOPE, **signed).status_code == 500
    world.server.issue_tokens = issue

    assert is_refused(world.client.client_credentials(SCOPE, **signed))
    del signed["assertion"]
    answer = world.client.client_credentials(SCOPE, **signed)
    assert answer.json()["error"] == "invalid_dpop_proof"


def test_a_replayed_code_request_ends_no_tokens_thr_9_bcp_b16(world):
    """Whoever saw the request go by can send it again; only its client may say that a code leaked.

    The code is looked at after the assertion, since one that comes again ends what it led to.
    """
    code, verifier = world.code()
    signed = {"assertion": world.client.assertion(), "proof": world.client.proof("POST", TOKEN)}
    refresh = world.client.redeem(code, verifier, **signed).json()["refresh_token"]

    assert is_refused(world.client.redeem(code, verifier, **signed))
    assert world.client.refresh(refresh).status_code == 200


def test_two_clients_may_use_the_same_jti(world):
    claims = {"jti": "same"}

    assert answer_to(world, claims=claims).status_code == 200
    other = world.other.client_credentials(SCOPE, assertion=world.other.assertion(claims=claims))
    assert other.status_code == 200


@pytest.mark.parametrize("jti", [OMIT, "", 7, None, "x" * 257, "ə"])
def test_a_jti_is_required_thr_9(world, jti):
    assert is_refused(answer_to(world, claims={"jti": jti}))


def test_a_refused_assertion_does_not_use_up_its_jti(world):
    claims = {"jti": "one"}
    assert is_refused(answer_to(world, claims={**claims, "aud": "https://other.example"}))

    assert answer_to(world, claims=claims).status_code == 200


def test_another_clients_key_does_not_authenticate_thr_2(world):
    assert is_refused(answer_to(world, key=world.other.key, header={"kid": "client-1-key"}))


def test_a_changed_signature_is_refused(world):
    head, payload, signature = world.client.assertion().split(".")
    raw = bytearray(base64.urlsafe_b64decode(signature + "=="))
    raw[0] ^= 1

    answer = world.client.client_credentials(SCOPE, assertion=f"{head}.{payload}.{b64u(raw)}")

    assert is_refused(answer)


def test_an_unknown_client_and_a_wrong_key_are_told_apart_by_nobody_thr_11(world):
    unknown = private_key_jwt(new_key(), "nobody", ISSUER, now=world.memory.time)
    wrong_key = world.client.assertion(key=new_key())

    answers = [
        world.client.client_credentials(SCOPE, assertion=assertion)
        for assertion in (unknown, wrong_key)
    ]

    assert answers[0].content == answers[1].content
    assert all(is_refused(answer) for answer in answers)


@pytest.mark.parametrize("typ", ["JWT", "client-authentication+jwt", OMIT])
def test_usual_types_are_accepted_rfc8725_section_3_11(world, typ):
    assert answer_to(world, header={"typ": typ}).status_code == 200


@pytest.mark.parametrize("typ", ["dpop+jwt", "at+jwt", 5])
def test_a_jwt_made_for_something_else_is_refused_rfc8725_section_3_11(world, typ):
    assert is_refused(answer_to(world, header={"typ": typ}))


def test_a_critical_header_is_refused_fapi_c1(world):
    assert is_refused(answer_to(world, header={"crit": ["exp"], "exp": 1}))


def test_a_key_in_the_header_is_not_used_fapi_c7(world):
    mine = new_key()

    answer = answer_to(
        world, key=mine, header={"jwk": mine.as_dict(private=False), "jku": "https://evil.example"}
    )

    assert is_refused(answer)


def test_without_kid_each_key_is_tried_and_with_a_wrong_one_none(world):
    old, new = new_key(kid="old"), new_key(kid="new")
    client = world.register("client-3", key=new, jwks=public_jwks(old, new))

    for kid, status in ((OMIT, 200), ("new", 200), ("old", 400), ("other", 400)):
        assertion = client.assertion(header={"kid": kid})
        assert client.client_credentials(SCOPE, assertion=assertion).status_code == status


def test_two_keys_of_one_kid_are_told_apart_by_type_fapi_c8(world):
    elliptic, rsa = new_key("ES256", kid="k"), new_key("PS256", kid="k")
    client = world.register("client-3", key=rsa, jwks=public_jwks(elliptic, rsa))

    assert client.client_credentials(SCOPE).status_code == 200


@pytest.mark.parametrize(
    "limit", [{"use": "enc"}, {"alg": "ES384"}, {"key_ops": ["sign"]}], ids=["use", "alg", "ops"]
)
def test_a_key_for_something_else_does_not_authenticate_fapi_c8(world, limit):
    key = new_key()
    client = world.register(
        "client-3", key=key, jwks={"keys": [{**key.as_dict(private=False), **limit}]}
    )

    assert is_refused(client.client_credentials(SCOPE))


@pytest.mark.parametrize(
    "form",
    [{"client_id": "client-1"}, {"client_id": "client-1", "client_secret": "x"}],
    ids=["none", "client_secret_post"],
)
def test_other_methods_do_not_exist_fapi_g3_fapi_g6_dec_7_al_15(world, form):
    answer = world.client.post(
        "token", {"grant_type": "client_credentials", "scope": SCOPE, **form}, assertion=OMIT
    )

    assert is_refused(answer)


def test_basic_authentication_is_401_rfc6749_section_5_2(world):
    answer = world.client.post(
        "token",
        {"grant_type": "client_credentials", "scope": SCOPE},
        assertion=OMIT,
        headers={"Authorization": "Basic Y2xpZW50LTE6eA=="},
    )

    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    assert "WWW-Authenticate" in answer.headers


@pytest.mark.parametrize(
    "endpoint", ["token", "pushed_authorization_request", "revocation", "introspection"]
)
def test_every_endpoint_wants_the_same_authentication_par_p3(world, endpoint):
    form = {
        "grant_type": "refresh_token",
        "refresh_token": "x",
        "token": "x",
        "client_id": "client-1",
    }

    answer = world.client.post(endpoint, form, assertion=OMIT, proof=OMIT)

    assert is_refused(answer)
    assert ASSERTION_TYPE not in answer.text
